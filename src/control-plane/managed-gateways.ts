/**
 * What the Gateway Manager API calls gateways. A managed one is a gateway group of its own, which it makes; a
 * self-managed one is a registration, whose runtime configuration is that of its group.
 */
import { randomUUID } from 'node:crypto'
import type { ControlPlane } from './control-plane.ts'
import type { Group } from './groups.ts'
import { Problem } from './problem.ts'
import type { IssuedCertificate } from './registrations.ts'

export interface ManagedGateway {
  /** Also of its group. */
  id: string
  name: string
  targetId: string
  runtimeVersion: string
  releaseChannel: 'lts' | 'edge' | 'dev'
  size: 'small' | 'large'
  configuration: Record<string, unknown>
  /** Milliseconds since 1970. */
  dateCreated: number
  lastUpdated: number
}

export type DesiredStatus = 'STARTED' | 'STOPPED'

export interface FoundGateway {
  id: string
  name: string
  groupId: string
  group: Group
  managed?: ManagedGateway
}

export const gatewaysOf = (plane: ControlPlane) =>
  plane.database.collection<ManagedGateway>('managed-gateways')

/** @throws Problem 400, 404 */
export function findGateway(plane: ControlPlane, id: string): FoundGateway {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    throw new Problem(400, 'gatewayId is not a UUID')
  const managed = gatewaysOf(plane).get(id)
  if (managed !== undefined)
    return { id, name: managed.name, groupId: id, group: plane.groupNamed(id), managed }
  const registration = plane.registrations.registrations.get(id)
  if (registration === undefined) throw new Problem(404, `there is no gateway ${id}`)
  const { name, group: groupId } = registration
  return { id, name, groupId, group: plane.groupNamed(groupId) }
}

/** @throws Problem 409 */
export async function addGateway(
  plane: ControlPlane,
  wanted: Omit<ManagedGateway, 'id' | 'dateCreated' | 'lastUpdated'>,
  author: string,
): Promise<ManagedGateway> {
  const gateways = gatewaysOf(plane)
  if (gateways.all().some(({ name }) => name === wanted.name)) {
    throw new Problem(409, `there is a gateway ${wanted.name} already`)
  }
  const id = randomUUID()
  await plane.groups.add(
    { id, name: wanted.name, description: 'managed gateway', labels: {}, enforce_service_publishing: false },
    author,
  )
  const time = plane.now() * 1000
  const gateway = { ...wanted, id, dateCreated: time, lastUpdated: time }
  gateways.put(id, gateway)
  return gateway
}

/** @throws Problem 409 */
export async function removeGateway(
  plane: ControlPlane,
  { id, managed }: FoundGateway,
  author: string,
): Promise<void> {
  if (managed === undefined) {
    throw new Problem(400, 'only managed gateways are removed here; others by their registration')
  }
  for (const registration of plane.registrations.registrations.all()) {
    if (registration.group === id) plane.registrations.remove(registration.id, author)
  }
  for (const instance of plane.fleet.all()) if (instance.group === id) plane.fleet.remove(instance.id)
  await plane.groups.remove(id)
  gatewaysOf(plane).remove(id)
}

export const desiredStatusOf = ({ group }: FoundGateway): DesiredStatus =>
  (group.configuration.setting('desired_status') as DesiredStatus | undefined) ?? 'STARTED'

export interface GatewayStatus {
  status: 'RUNNING' | 'APPLYING' | 'STARTED' | 'STOPPED' | 'DISCONNECTED'
  /** All instances that are there run the newest configuration. */
  ready: boolean
  /** Instances are there, and take traffic. */
  running: boolean
}

export function statusOf(plane: ControlPlane, found: FoundGateway): GatewayStatus {
  const isOfIt = (one: { group: string; registration: string }) =>
    found.managed === undefined ? one.registration === found.id : one.group === found.groupId
  const instances = plane.fleet.all().filter(isOfIt)
  const live = instances.filter((one) => ['Healthy', 'OutOfSync'].includes(plane.fleet.status(one)))
  const isStopped = desiredStatusOf(found) === 'STOPPED'
  const ready = live.length > 0 && live.every((one) => plane.fleet.configurationState(one) === 'UP_TO_DATE')
  const running = live.length > 0 && !isStopped
  if (isStopped) return { status: 'STOPPED', ready, running }
  if (live.length > 0) return { status: ready ? 'RUNNING' : 'APPLYING', ready, running }
  return { status: instances.length > 0 ? 'DISCONNECTED' : 'STARTED', ready, running }
}

/** Of the newest certificate that its replicas may have. */
export function newestCertificate(plane: ControlPlane, found: FoundGateway): IssuedCertificate | undefined {
  const { registrations } = plane
  const ids =
    found.managed === undefined
      ? [found.id]
      : registrations.registrations.all().flatMap(({ id, group }) => (group === found.groupId ? [id] : []))
  return ids
    .flatMap((id) => registrations.certificatesOf(id))
    .filter(({ revoked }) => revoked === undefined)
    .sort((a, b) => b.expires - a.expires)[0]
}
