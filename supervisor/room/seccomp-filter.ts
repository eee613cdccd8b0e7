/**
 * System calls that no program of a project needs and that reach further than a room: other processes' memory, the kernel's
 * keys, modules and mounts, and interfaces whose faults are known for leaving sandboxes. Each with its number on x86-64 and
 * on arm64; undefined where an architecture does not have it.
 */
const REFUSED: Readonly<Record<string, readonly [x64: number | undefined, arm64: number]>> = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  open_by_handle_at: [304, 265],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  acct: [163, 89],
  quotactl: [179, 60],
  syslog: [103, 116],
  settimeofday: [164, 170],
  clock_settime: [227, 112]
}

const SOCKET = { x64: 41, arm64: 198 } as const
const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
/** Calls of the x32 interface have this bit, and the same numbers would mean other calls. */
const X32_BIT = 0x40000000

/** Unix, IPv4 and IPv6. A network namespace does not close others, such as the hypervisor's sockets (`AF_VSOCK`). */
const FAMILIES = [1, 2, 10]
/** Programs list their network interfaces with it. Its protocol 0 only. */
const NETLINK = 16

/** The offsets in `struct seccomp_data`; of a 64-bit argument its lower half, on little-endian machines. */
const NUMBER = 0
const ARCH = 4
const FIRST_ARGUMENT = 16
const THIRD_ARGUMENT = 32

const LOAD = 0x20
const EQUAL = 0x15
const AT_LEAST = 0x35
const RETURN = 0x06
const ALLOW = 0x7fff0000
const KILL = 0x80000000
const EPERM = 0x00050000 | 1
const ENOSYS = 0x00050000 | 38
const EAFNOSUPPORT = 0x00050000 | 97

interface Instruction {
  readonly code: number
  readonly value: number
  /** How many instructions are skipped when the comparison holds, and when it does not. */
  readonly skip?: readonly [yes: number, no: number]
}

/**
 * The filter that every process of a room runs under, as `bwrap --seccomp` reads it: a program of the kernel's packet
 * filter. Undefined on architectures for which the numbers above are not known.
 */
export function seccompFilter(arch: string = process.arch): Buffer | undefined {
  if (arch !== 'x64' && arch !== 'arm64') return undefined
  const numbers = Object.entries(REFUSED).flatMap(([name, [x64, arm64]]) => {
    const number = arch === 'x64' ? x64 : arm64
    return number === undefined ? [] : [{ name, number }]
  })
  const refusals = numbers.flatMap(({ name, number }) => [
    { code: EQUAL, value: number, skip: [0, 1] as const },
    // Programs ask whether io_uring exists, and do without.
    { code: RETURN, value: name.startsWith('io_uring') ? ENOSYS : EPERM }
  ])
  return assemble([
    { code: LOAD, value: ARCH },
    { code: EQUAL, value: AUDIT_ARCH[arch], skip: [1, 0] },
    { code: RETURN, value: KILL },
    { code: LOAD, value: NUMBER },
    ...(arch === 'x64'
      ? [
          { code: AT_LEAST, value: X32_BIT, skip: [0, 1] as const },
          { code: RETURN, value: ENOSYS }
        ]
      : []),
    ...refusals,
    { code: EQUAL, value: SOCKET[arch], skip: [1, 0] },
    { code: RETURN, value: ALLOW },
    { code: LOAD, value: FIRST_ARGUMENT },
    ...FAMILIES.flatMap((family) => [
      { code: EQUAL, value: family, skip: [0, 1] as const },
      { code: RETURN, value: ALLOW }
    ]),
    { code: EQUAL, value: NETLINK, skip: [1, 0] },
    { code: RETURN, value: EAFNOSUPPORT },
    { code: LOAD, value: THIRD_ARGUMENT },
    { code: EQUAL, value: 0, skip: [0, 1] },
    { code: RETURN, value: ALLOW },
    { code: RETURN, value: EAFNOSUPPORT }
  ])
}

const INSTRUCTION_BYTES = 8

function assemble(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * INSTRUCTION_BYTES)
  instructions.forEach(({ code, value, skip: [yes, no] = [0, 0] }, at) => {
    const offset = at * INSTRUCTION_BYTES
    bytes.writeUInt16LE(code, offset)
    bytes.writeUInt8(yes, offset + 2)
    bytes.writeUInt8(no, offset + 3)
    bytes.writeUInt32LE(value, offset + 4)
  })
  return bytes
}
