export interface NewFile {
  readonly path: string
  readonly content: string
}

/** Templates of new projects, by name. */
export const TEMPLATES: ReadonlyMap<string, readonly NewFile[]> = new Map([['empty', []]])
