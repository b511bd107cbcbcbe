/** What the policy says that containers have, each `user:role:type:level`. */
export interface ContainerContexts {
  readonly process: string
  readonly file: string
}

/** The host's SELinux. */
export interface Selinux {
  /** Whether it is on, on this host and by configuration: nothing else is asked of it where it is off. */
  readonly enabled: boolean
  /** Throws failed-precondition where the policy says nothing of containers. */
  containerContexts(): Promise<ContainerContexts>
  /** Whether the loaded policy knows all parts of it. */
  isValid(label: string): Promise<boolean>
  /**
   * Labels files, and directories with all below them, each after what it holds; what can't have labels stays as it is.
   * It takes as long as it takes; throws cancelled where it is given up.
   */
  relabel(owner: string, paths: readonly string[], label: string): Promise<void>
  /** Ends what is labelled for the owner, and lets nothing begin until the answer is disposed. */
  giveUp(owner: string): Disposable
}
