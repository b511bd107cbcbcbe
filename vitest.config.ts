import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    maxWorkers: '100%', // Else one processor is left idle, of two half of the time.
    projects: [
      {
        test: {
          name: 'unit',
          // A process and its modules serve many files: what these import takes far longer than what they test.
          isolate: false,
          testTimeout: 20_000,
          include: ['**/*.test.ts'],
          exclude: [
            '**/*.root.test.ts',
            '**/*.e2e.test.ts',
            '**/*.guest.test.ts',
            '**/*.newer.test.ts',
            'node_modules',
            'dist',
          ],
        },
      },
      {
        test: { name: 'root', include: ['**/*.root.test.ts'], fileParallelism: false, testTimeout: 30_000 },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/{e2e,crash}/**/*.e2e.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'guest',
          include: ['test/guest/*.guest.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'newer',
          include: ['test/newer/*.newer.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
