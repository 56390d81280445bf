import { suite, test } from 'node:test'
import type { SslSpec } from '../../config/plan.ts'
import { Certificates } from './certificates.ts'

const settings = {
  protocols: ['TLSv1.3' as const],
  ciphers: '',
  session_tickets: true,
  session_ticket_rotation: 1000,
  fallback_sni: '',
}

const pairs = [{ cert: 'c', key: 'k' }]
const ssl = (id: string, ...snis: string[]): SslSpec => ({ id, type: 'server', snis, pairs })

function certificates(...specs: SslSpec[]): Certificates {
  const all = new Certificates()
  all.use(new Map(specs.map((spec) => [spec.id, spec])), settings)
  return all
}

suite('certificates', () => {
  const all = certificates(
    ssl('everything', '*'),
    ssl('wild', '*.example.com'),
    ssl('exact', 'api.example.com', 'other.example.com'),
    ssl('twice', 'api.example.com'),
    ssl('deep', '*.eu.example.com'),
    ssl('odd', '*-x.example.com'),
    { ...ssl('client', 'client.example.com'), type: 'client' },
  )
  for (const [name, id] of [
    ['api.example.com', 'exact'],
    ['www.example.com', 'wild'],
    ['client.example.com', 'wild'],
    ['a.eu.example.com', 'deep'],
    ['eu.example.com', 'wild'],
    ['a.b.eu.example.com', 'everything'],
    ['example.com', 'everything'],
    ['localhost', 'everything'],
  ] as const) {
    test(`for ${name}: ${id}`, (t) => t.assert.equal(all.find(name)?.spec.id, id))
  }

  test('for a name that nobody has: none', (t) => {
    const some = certificates(ssl('wild', '*.example.com', '*-x.test'))
    for (const name of ['example.com', 'a.b.example.com', 'a.b-x.test', ''])
      t.assert.equal(some.find(name), null)
    t.assert.equal(some.find('a-x.test')?.spec.id, 'wild')
  })

  test('that did not change stay what they are, with their sessions', (t) => {
    const [one, other] = [ssl('1', 'one.test'), ssl('2', 'other.test')]
    const both = certificates(one, other)
    const [before, changed] = [both.find('one.test'), both.find('other.test')]
    both.use(new Map([one, { ...other }].map((spec) => [spec.id, spec])), settings)
    t.assert.equal(both.find('one.test'), before)
    t.assert.notEqual(both.find('other.test'), changed)
    both.use(new Map([[one.id, one]]), { ...settings })
    t.assert.notEqual(both.find('one.test'), before)
    t.assert.equal(both.find('other.test'), null)
  })
})
