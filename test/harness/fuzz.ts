// How long random tests run: as each says, or many times that for a night.

const factor = Number(process.env['TOLLBRIDGE_TEST_FUZZ'] ?? 1)

/** `usual` cases, times `TOLLBRIDGE_TEST_FUZZ`. */
export const runs = (usual: number): number => Math.max(1, Math.round(usual * factor))
