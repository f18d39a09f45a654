// Preloaded into a measured process: collects garbage on SIGUSR2, so that what lives can be told from what is left over.
process.on('SIGUSR2', () => globalThis.gc?.())
