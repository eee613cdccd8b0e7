export interface NewFile {
  readonly path: string
  readonly content: string
}

/** What a new project may start from, by name. */
export const TEMPLATES: ReadonlyMap<string, readonly NewFile[]> = new Map([['empty', []]])
