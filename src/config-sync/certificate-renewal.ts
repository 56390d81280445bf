/** The life of the registration's certificate: warnings before its end, and a new one in time. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { lifeOf, renewalDue, warningDue } from './certificate-life.ts'
import type { Link } from './link.ts'
import { instant } from './protocol/delegation.ts'
import { certificateOf, replaceCertificate, saveRenewed } from './registration.ts'

export interface RenewalOptions {
  link: Link
  log: Log
  /** Whether the certificate is renewed without anybody asking. */
  isOn: boolean
  /** File of the registration, where it has one. */
  file?: string
  /** Where a renewed certificate goes when that file cannot be written. */
  renewedFile?: string
  /** Seconds since 1970. */
  now(): number
  /** Requests go out with a new certificate. */
  renewed(): void
}

const checkMs = 600_000

export class CertificateRenewal {
  readonly #options: RenewalOptions
  readonly #log: Log
  #warned: number | undefined

  constructor(options: RenewalOptions) {
    this.#options = options
    this.#log = options.log
  }

  /** Until the link ends. */
  async run(): Promise<void> {
    const { link, isOn, now } = this.#options
    while (!link.ending.aborted) {
      this.#warn()
      if (isOn && renewalDue(this.#life, now())) await this.#renew()
      await delay(checkMs, undefined, { signal: link.ending, ref: false }).catch(() => {})
    }
  }

  get #life() {
    return lifeOf(certificateOf(this.#options.link.registration))
  }

  #warn(): void {
    const { file = 'registration.yaml', now } = this.#options
    const due = warningDue(this.#life, now())
    if (due === undefined || due === this.#warned) return
    this.#warned = due
    const fields = {
      expires: instant(this.#life.to),
      renew: `sluice registration renew --client-id=ID --client-secret=SECRET --output-directory=new ${file}`,
    }
    if (due === 0) {
      this.#log.error(
        fields,
        'THE CERTIFICATE OF THE REGISTRATION HAS EXPIRED: traffic goes on, but no configuration comes any more, and a new gateway with it cannot start',
      )
    } else {
      this.#log.warn(
        { ...fields, days: due },
        `the certificate of the registration expires within ${due} day${due === 1 ? '' : 's'}`,
      )
    }
  }

  async #renew(): Promise<void> {
    const { link, renewed } = this.#options
    try {
      await link.renew(renewed)
    } catch (error) {
      this.#log.warn(
        { reason: (error as Error).message },
        'the certificate of the registration could not be renewed yet',
      )
      return
    }
    this.#warned = undefined
    this.#log.info({ expires: instant(this.#life.to) }, 'the certificate of the registration was renewed')
    await this.#keep()
  }

  /** In place of the old one; or, where that is mounted for reading only, in the gateway's own folder. */
  async #keep(): Promise<void> {
    const { file, renewedFile, link } = this.#options
    try {
      if (file !== undefined) {
        await replaceCertificate(file, link.registration)
        return
      }
    } catch (err) {
      this.#log.info({ err, file, instead: renewedFile }, 'the file of the registration cannot be written')
    }
    try {
      if (renewedFile !== undefined) await saveRenewed(renewedFile, link.registration)
    } catch (err) {
      this.#log.error({ err }, 'the renewed certificate cannot be written: it is lost with this process')
    }
  }
}
