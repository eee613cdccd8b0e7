/** What jobs count, in the field's words; `/metrics` shows them. */
export interface JobMetrics {
  jobEnded(facts: { status: string; code: string; seconds: number }): void
  usageMismatch(): void
  unrecognisedEvent(name: string): void
}

export const noMetrics: JobMetrics = {
  jobEnded: () => {},
  usageMismatch: () => {},
  unrecognisedEvent: () => {}
}
