/**
 * The variables of a machine's shell. What it has not set is what another machine's shell has: guides store a value on one machine and
 * use it on the next.
 */
export class Variables extends Map<string, string> {
  constructor(private readonly all: Map<string, string>) {
    super();
  }
  override get(name: string): string | undefined {
    return super.get(name) ?? this.all.get(name);
  }
  override has(name: string): boolean {
    return super.has(name) || this.all.has(name);
  }
  override set(name: string, value: string): this {
    this.all.set(name, value);
    return super.set(name, value);
  }
}
