// The name of the gateway's own MCP server: reserved, and never charged for.

/** Of its endpoint `/mcp/tollbridge`, of its records, and before its tools on plain `/mcp`. */
export const builtInName = 'tollbridge'
