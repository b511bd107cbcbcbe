import { JsonReporter, type TestModule } from 'vitest/node'

/** Vitest's JSON report, with what failed outside of tests too: its own leaves out the errors of a describe's hooks. */
export default class extends JsonReporter {
  readonly #errors = new Map<string, readonly string[]>()

  constructor() {
    super({})
  }

  override async onTestRunEnd(modules: readonly TestModule[]): Promise<void> {
    for (const module of modules) {
      const suites = [module, ...module.children.allSuites()]
      const errors = suites.flatMap((suite) => suite.errors())
      this.#errors.set(
        module.moduleId,
        errors.map(({ stack, message }) => stack ?? message),
      )
    }
    await super.onTestRunEnd([...modules])
  }

  override async writeReport(report: string): Promise<void> {
    const parsed = JSON.parse(report) as { testResults: { name: string; message: string }[] }
    for (const file of parsed.testResults) {
      file.message = this.#errors.get(file.name)?.join('\n') || file.message
    }
    await super.writeReport(JSON.stringify(parsed))
  }
}
