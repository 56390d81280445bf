/** A node as a registry knows it. */
export interface DiscoveredNode {
  host: string
  /** Absent: the standard one of the upstream's scheme. */
  port?: number
  /** 0 takes no traffic. */
  weight: number
  /** Higher groups first; 0 when absent. */
  priority?: number
}
