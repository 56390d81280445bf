/**
 * Versions of the operator's modules that a thread has loaded. The platform never lets go of a module: one that is in use no
 * more stays in memory until its thread ends. The URL of a module tells its versions apart.
 */
export class ModuleVersions {
  readonly #loaded = new Set<string>()

  add(urls: Iterable<string>): void {
    for (const url of urls) this.#loaded.add(url)
  }

  /** Whether all of them are there already, or there is room for them beside `most` that are in use no more. */
  haveRoom(urls: readonly string[], most: number): boolean {
    return urls.every((url) => this.#loaded.has(url)) || this.besides(urls) < most
  }

  /** How many are there for nothing while these are in use. */
  besides(urls: Iterable<string>): number {
    const current = new Set(urls)
    return [...this.#loaded].filter((url) => !current.has(url)).length
  }
}
