// How the demo's servers are started: by this Node, so that nothing else needs to be installed.

export const demoCommand = process.execPath
