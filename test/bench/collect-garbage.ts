/** Loaded before a server whose memory is measured (`--expose-gc --import`): SIGUSR2 collects its garbage. */
process.on('SIGUSR2', () => {
  globalThis.gc?.()
  globalThis.gc?.()
})
