/**
 * What the Helm chart makes of values. There is no Helm here: `chart-template.ts` has as much of its templates as the chart
 * uses, and says so when the chart uses more.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Ajv } from 'ajv'
import { parse, parseAllDocuments } from 'yaml'
import { check } from '../../src/config/check.ts'
import { load } from '../../src/config/load.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { files, read } from '../rules/repository.ts'
import { ChartTemplates } from './chart-template.ts'

// biome-ignore lint/suspicious/noExplicitAny: manifests of Kubernetes have every form
type Manifest = any

const folder = 'deploy/helm/sluice'
const chart = parse(read(`${folder}/Chart.yaml`))
const { version } = JSON.parse(read('package.json')) as { version: string }

/** @param changes as `--set` has them: `a.b` to a value */
function render(changes: Record<string, unknown> = {}): Map<string, Manifest> {
  const values = parse(read(`${folder}/values.yaml`))
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split('.')
    const last = names.pop()!
    const owner = names.reduce((object, name) => object[name], values)
    assert.ok(last in owner, `values.yaml has no ${path}`)
    owner[last] = value
  }
  const context = {
    Values: values,
    Release: { Name: 'edge', Namespace: 'gateways', Service: 'Helm' },
    Chart: { AppVersion: chart.appVersion },
  }
  const templates = new ChartTemplates()
  templates.render(read(`${folder}/templates/_helpers.tpl`), context)
  const manifests = new Map<string, Manifest>()
  for (const file of files.filter(
    (name) => name.startsWith(`${folder}/templates/`) && name.endsWith('.yaml'),
  )) {
    for (const document of parseAllDocuments(templates.render(read(file), context))) {
      assert.deepEqual(document.errors, [], file)
      const manifest = document.toJS()
      if (manifest === null) continue
      const { kind, metadata } = manifest
      manifests.set(manifests.has(kind) ? `${kind} ${metadata.name}` : kind, manifest)
    }
  }
  return manifests
}

const podOf = (manifests: Map<string, Manifest>) => manifests.get('Deployment').spec.template.spec
const containerOf = (manifests: Map<string, Manifest>) => podOf(manifests).containers[0]
const environmentOf = (manifests: Map<string, Manifest>): Record<string, Manifest> =>
  Object.fromEntries(
    containerOf(manifests).env.map((entry: Manifest) => [entry.name, entry.value ?? entry.valueFrom]),
  )

suite('the Helm chart', () => {
  test('has the version of the software', () => {
    assert.equal(chart.version, version)
    assert.equal(chart.appVersion, version)
  })

  test('makes a deployment with its service, configuration and disruption budget, all in the namespace', () => {
    const manifests = render()
    assert.deepEqual([...manifests.keys()].sort(), [
      'ConfigMap',
      'Deployment',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
    ])
    for (const { metadata } of manifests.values()) assert.equal(metadata.namespace, 'gateways')
    const { selector, template, replicas } = manifests.get('Deployment').spec
    assert.equal(replicas, 1)
    for (const wanted of [selector.matchLabels, manifests.get('Service').spec.selector]) {
      for (const [name, value] of Object.entries(wanted)) assert.equal(template.metadata.labels[name], value)
    }
    assert.equal(containerOf(manifests).image, `sluice-gateway:${version}`)
  })

  test('runs without root, without capabilities and without a writable file system', () => {
    const manifests = render()
    const pod = podOf(manifests)
    assert.equal(pod.securityContext.runAsNonRoot, true)
    // The user of the image.
    assert.match(read('Dockerfile'), new RegExp(`^USER ${pod.securityContext.runAsUser}:`, 'm'))
    assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault')
    const { securityContext, volumeMounts } = containerOf(manifests)
    assert.deepEqual(securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    assert.equal(pod.automountServiceAccountToken, false)
    const writable = volumeMounts.filter((mount: Manifest) => mount.readOnly !== true)
    assert.deepEqual(
      writable.map((mount: Manifest) => mount.mountPath),
      [environmentOf(manifests).SLUICE_DATA_DIR, '/tmp'],
    )
    for (const { name } of volumeMounts)
      assert.ok(pod.volumes.some((volume: Manifest) => volume.name === name))
  })

  test('is asked for its health on the port of metrics, and has the time to drain', () => {
    const manifests = render()
    const { startupProbe, livenessProbe, readinessProbe, ports } = containerOf(manifests)
    assert.deepEqual(livenessProbe.httpGet, { path: '/livez', port: 'metrics' })
    assert.deepEqual(readinessProbe.httpGet, { path: '/readyz', port: 'metrics' })
    assert.deepEqual(startupProbe.httpGet, { path: '/readyz', port: 'metrics' })
    assert.equal(ports.find(({ name }: Manifest) => name === 'metrics').containerPort, 9091)
    assert.equal(environmentOf(manifests).SLUICE_METRICS_HOST, '0.0.0.0')
  })

  test('goes on taking connections until all nodes know that it ends, and then has the time to drain', () => {
    const manifests = render()
    const { lifecycle } = containerOf(manifests)
    assert.deepEqual(lifecycle.preStop.exec.command, ['sleep', '5'])
    assert.ok(podOf(manifests).terminationGracePeriodSeconds > 5 + 30)
    assert.equal(containerOf(render({ preStopSeconds: 0 })).lifecycle, undefined)
  })

  test('sends the ports of the service to listeners that there are', () => {
    const manifests = render()
    const open = containerOf(manifests).ports.map((port: Manifest) => port.containerPort)
    for (const { targetPort } of manifests.get('Service').spec.ports) assert.ok(open.includes(targetPort))
  })

  test('gives the gateway settings that it takes', async () => {
    const env = Object.fromEntries(
      Object.entries(environmentOf(render())).filter(([, value]) => typeof value === 'string'),
    ) as Record<string, string>
    const loaded = await load([], { ...env, SLUICE_LOG_LEVEL: 'warn' })
    const { plan, findings } = check(
      { ...loaded, findings: loaded.findings.filter(({ code }) => code !== 'no-configuration') },
      policySchemas(catalogue),
      { gatewayVersion: version },
    )
    assert.deepEqual(
      findings.filter(({ severity }) => severity === 'error'),
      [],
    )
    assert.deepEqual(
      plan!.settings.listeners.map(({ name, protocol, port }) => [name, protocol, port]),
      [
        ['http', 'http', 9080],
        ['https', 'https', 9443],
      ],
    )
    assert.equal(plan!.settings.data_dir, '/var/lib/sluice')
  })

  test('joins a control plane by a certificate in a secret', () => {
    const env = environmentOf(
      render({
        'controlPlane.endpoints': ['https://control.example:7943'],
        'controlPlane.existingSecret': 'edge-tls',
        'controlPlane.roots': '[{"kty":"OKP"}]',
        'controlPlane.serverName': 'localhost',
      }),
    )
    assert.deepEqual(JSON.parse(env.API7_CONTROL_PLANE_ENDPOINTS), ['https://control.example:7943'])
    assert.deepEqual(env.API7_CONTROL_PLANE_KEY, { secretKeyRef: { name: 'edge-tls', key: 'tls.key' } })
    assert.deepEqual(env.API7_CONTROL_PLANE_CA, { secretKeyRef: { name: 'edge-tls', key: 'ca.crt' } })
    assert.equal(env.SLUICE_CONFIGURATION_ROOTS, '[{"kty":"OKP"}]')
    assert.equal(env.API7_CONTROL_PLANE_SNI, 'localhost')
    assert.throws(
      () => render({ 'controlPlane.endpoints': ['https://control.example:7943'] }),
      /controlPlane\.roots/,
    )
  })

  test('joins a control plane by a registration file, which is a secret', () => {
    const content = 'apiVersion: gateway.mulesoft.com/v1alpha1\nkind: Configuration\n---\nkind: Secret\n'
    const manifests = render({ 'registration.content': content })
    assert.equal(manifests.get('Secret').stringData['registration.yaml'], content)
    const [{ projected }] = podOf(manifests).volumes
    assert.equal(projected.sources[1].secret.name, 'edge-registration')
    const other = render({ 'registration.existingSecret': 'mine' })
    assert.equal(other.get('Secret'), undefined)
    assert.equal(podOf(other).volumes[0].projected.sources[1].secret.name, 'mine')
    assert.equal(podOf(render()).volumes[0].projected.sources.length, 1)
  })

  test('has the file that values say, and rolls when it changes', () => {
    const config = { routes: [{ id: 'a', uri: '/a', upstream: { nodes: { 'a:80': 1 } } }] }
    const manifests = render({ config })
    assert.deepEqual(parse(manifests.get('ConfigMap').data['sluice.yaml']), config)
    const annotation = (of: Map<string, Manifest>) =>
      of.get('Deployment').spec.template.metadata.annotations['checksum/config']
    assert.notEqual(annotation(manifests), annotation(render()))
  })

  test('scales where it is told to', () => {
    const manifests = render({ 'autoscaling.enabled': true })
    assert.equal(manifests.get('Deployment').spec.replicas, undefined)
    const { scaleTargetRef, minReplicas } = manifests.get('HorizontalPodAutoscaler').spec
    assert.equal(scaleTargetRef.name, manifests.get('Deployment').metadata.name)
    assert.equal(minReplicas, 2)
  })

  test('is scraped where the operator of Prometheus asks for it', () => {
    const manifests = render({
      'serviceMonitor.enabled': true,
      'serviceMonitor.labels': { release: 'prometheus' },
    })
    const service = manifests.get('Service edge-metrics')
    const { metadata, spec } = manifests.get('ServiceMonitor')
    assert.equal(metadata.labels.release, 'prometheus')
    for (const [name, value] of Object.entries(spec.selector.matchLabels)) {
      assert.equal(service.metadata.labels[name], value)
    }
    // The service for traffic has no such port, so it must not be chosen.
    const traffic = manifests.get('Service').metadata.labels
    assert.ok(Object.entries(spec.selector.matchLabels).some(([name, value]) => traffic[name] !== value))
    const [port] = service.spec.ports
    assert.equal(port.name, spec.endpoints[0].port)
    assert.ok(containerOf(manifests).ports.some(({ name }: Manifest) => name === port.targetPort))
  })

  test('lets traffic in everywhere and scrapers where they are named', () => {
    const peers = [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }]
    const manifests = render({ 'networkPolicy.enabled': true, 'networkPolicy.metricsFrom': peers })
    const { podSelector, ingress } = manifests.get('NetworkPolicy').spec
    assert.deepEqual(podSelector, manifests.get('Deployment').spec.selector)
    assert.deepEqual(ingress, [
      { ports: [9080, 9443].map((port) => ({ port, protocol: 'TCP' })) },
      { from: peers, ports: [{ port: 9091, protocol: 'TCP' }] },
    ])
    const closed = render({ 'networkPolicy.enabled': true }).get('NetworkPolicy').spec.ingress
    assert.equal(closed.length, 1)
  })

  test('has a schema that takes its values, and says what is wrong with others', () => {
    const schema = JSON.parse(read(`${folder}/values.schema.json`))
    const isValid = new Ajv({ allErrors: true }).compile(schema)
    const values = () => parse(read(`${folder}/values.yaml`))
    assert.ok(isValid(values()), JSON.stringify(isValid.errors))
    assert.deepEqual(
      Object.keys(schema.properties).filter((name) => name !== 'global'),
      Object.keys(values()),
    )
    const wrong: [string, Manifest][] = [
      ['replicas', 2],
      ['replicaCount', -1],
      ['workers', 'many'],
      ['listeners', []],
      ['listeners', [{ name: 'A name', port: 9080 }]],
      ['controlPlane', { endpoints: ['http://control.example'] }],
      ['serviceMonitor', { enabled: 'yes' }],
      ['preStopSeconds', '5s'],
    ]
    for (const [name, value] of wrong) assert.ok(!isValid({ ...values(), [name]: value }), name)
  })
})
