/** A name for a container that was given none: an adjective and a person who made networks, from its id. */

const ADJECTIVES =
  'amber bold brisk calm clever crisp dapper eager early fair fleet gentle glad keen kind lively lucid merry neat nimble plain quick quiet ready rustic sharp sleek spry steady sunny swift tidy vivid warm witty'.split(
    ' ',
  );
const PEOPLE =
  'baran boggs cerf clark crocker davies dijkstra engelbart estrin feinler floyd hamming hopper jacobson kahn kleinrock lamarr lamport licklider metcalfe mockapetris perlman pouzin postel roberts shannon sutherland taylor tomlinson zimmermann'.split(
    ' ',
  );

export function nameFor(taken: (name: string) => boolean, id: string): string {
  const number = Number.parseInt(id.slice(0, 8), 16);
  for (let i = 0; ; i++) {
    const name = `${ADJECTIVES[(number + i) % ADJECTIVES.length]}_${PEOPLE[Math.floor(number / 64 + i) % PEOPLE.length]}${i > 20 ? i : ''}`;
    if (!taken(name)) return name;
  }
}
