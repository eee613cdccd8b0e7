/** A word of shell: between single quotes every byte but a single quote stands for itself. */
export const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`
