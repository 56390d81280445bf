/** What the harness told this program (node-program.ts). */
export const port = Number(process.env.PORT)
export const upstream = `http://127.0.0.1:${process.env.UPSTREAM_PORT}`
export const chainName = process.env.CHAIN ?? 'none'
/** Empty: none. */
export const accessLog = process.env.ACCESS_LOG ?? ''
