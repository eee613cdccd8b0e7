/** A file that is written from the code that it describes. */
export interface GeneratedDocument {
  /** Relative to the repository. */
  readonly path: string
  readonly text: string
}
