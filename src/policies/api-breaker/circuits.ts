/** What is known of paths with bad answers. Times are in whole seconds. */
export class Circuits {
  readonly #failures: number
  readonly #successes: number
  readonly #longest: number
  readonly #circuits = new Map<string, Circuit>()

  /**
   * @param failures bad answers until it breaks
   * @param successes good answers until a path is forgotten
   * @param longest seconds for which it breaks at most
   */
  constructor(failures: number, successes: number, longest: number) {
    this.#failures = failures
    this.#successes = successes
    this.#longest = longest
  }

  isBroken(key: string, now: number): boolean {
    if (this.#circuits.size === 0) return false
    const circuit = this.#circuits.get(key)
    if (circuit === undefined || circuit.brokenAt === -1) return false
    const times = Math.floor(circuit.bad / this.#failures)
    return now <= circuit.brokenAt + Math.min(2 ** times, this.#longest)
  }

  failed(key: string, now: number): void {
    let circuit = this.#circuits.get(key)
    if (circuit === undefined) {
      circuit = { bad: 0, good: 0, brokenAt: -1 }
      this.#makeRoom()
      this.#circuits.set(key, circuit)
    }
    circuit.bad++
    circuit.good = 0
    if (circuit.bad % this.#failures === 0) circuit.brokenAt = now
  }

  succeeded(key: string): void {
    if (this.#circuits.size === 0) return
    const circuit = this.#circuits.get(key)
    if (circuit === undefined) return
    circuit.good++
    if (circuit.good >= this.#successes) this.#circuits.delete(key)
  }

  #makeRoom(): void {
    if (this.#circuits.size < mostCircuits) return
    const [oldest] = this.#circuits.keys()
    this.#circuits.delete(oldest!)
  }
}

/** Paths come from clients. */
const mostCircuits = 10_000

interface Circuit {
  bad: number
  good: number
  /** When it last broke; -1: it did not. */
  brokenAt: number
}
