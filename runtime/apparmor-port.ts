/** The host's AppArmor. */
export interface AppArmor {
  /** Whether it confines here: what is asked of it is refused where it is not. */
  readonly enabled: boolean
  isLoaded(profile: string): Promise<boolean>
  /**
   * The name of the daemon's own profile, which it loads where it is not loaded. Undefined where the host has no parser
   * to do that with; throws failed-precondition with the parser's words.
   */
  loadDefault(): Promise<string | undefined>
}
