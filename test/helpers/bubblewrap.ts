import { findBubblewrap, findKilo } from '../../supervisor/room/kilo-binary.ts'
import { jailProblem } from '../../supervisor/room/bubblewrap.ts'

const kilo = await findKilo(undefined).catch(() => undefined)
const bubblewrap = kilo && (await findBubblewrap(kilo))

/** The bwrap that agents run in; undefined where none can be used. */
export const usableBubblewrap =
  kilo && (await jailProblem(bubblewrap, import.meta.dirname, kilo)) === undefined
    ? bubblewrap
    : undefined
