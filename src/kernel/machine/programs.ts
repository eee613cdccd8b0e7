import { access, constants } from 'node:fs/promises'

/** Whether this process may execute the file. */
export const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false
  )
