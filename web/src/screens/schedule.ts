/* A schedule as the server tells it. */
export interface Schedule {
  id: string
  version: number
  kind: string
  spec: string
  zone: string
  days: string
  params: Record<string, unknown>
  enabled: boolean
  next_at: string | null
}
