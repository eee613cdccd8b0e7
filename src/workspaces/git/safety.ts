/**
 * Settings of every git command. They are command-line options, so no configuration file overrides them.
 */
export const SAFE_CONFIG: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.pager=cat',
  'core.editor=true',
  'core.sshCommand=/bin/false',
  'core.attributesFile=/dev/null',
  'core.excludesFile=/dev/null',
  'core.protectNTFS=true',
  'core.protectHFS=true',
  'core.quotePath=false',
  'core.autocrlf=false',
  'protocol.allow=never',
  'protocol.https.allow=always',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'diff.ignoreSubmodules=all',
  'transfer.fsckObjects=true',
  'credential.helper=',
  'commit.gpgSign=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'safe.bareRepository=explicit',
  'http.followRedirects=false',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=30'
]

/**
 * Attributes that override every `.gitattributes` of a worktree: a blob is the file byte for byte, no filter runs, and
 * git's default merge driver is used.
 */
export const ATTRIBUTES =
  '* -text !eol !crlf -ident -filter !working-tree-encoding !diff !merge !conflict-marker-size\n'

/**
 * simple-git rejects arguments that are dangerous when they come from a client. Our arguments are built in this
 * folder, and the settings above are on simple-git's list, so its check is off.
 */
export const UNSAFE_WORDS = {
  allowUnsafeAlias: true,
  allowUnsafeAskPass: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeDiffTextConv: true,
  allowUnsafeEditor: true,
  allowUnsafeFilter: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeGitProxy: true,
  allowUnsafeGpgProgram: true,
  allowUnsafeHooksPath: true,
  allowUnsafeMergeDriver: true,
  allowUnsafePack: true,
  allowUnsafePager: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeTemplateDir: true
} as const

/** The whole environment of a git command: it inherits only `PATH` from the server. */
export function gitEnvironment(more: Readonly<Record<string, string>> = {}) {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    // No process can create files below /dev/null, so there is no .gitconfig and no .netrc.
    HOME: '/dev/null',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_ALLOW_PROTOCOL: 'https',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_PAGER: 'cat',
    // A path that starts with a colon or contains a star is not a pattern.
    GIT_LITERAL_PATHSPECS: '1',
    ...more
  }
}
