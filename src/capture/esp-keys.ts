/**
 * Keys of ESP as Wireshark's preferences load them: the table `esp_sa` (Edit, Preferences, Protocols, ESP, "ESP SAs"), one
 * association a line. In a folder of its own, together with preferences that switch decryption on, it is a whole
 * configuration: `WIRESHARK_CONFIG_DIR=FOLDER tshark -r FILE`.
 */

/** A security association, whoever holds it. */
export interface EspKey {
  source: string;
  destination: string;
  spi: number;
  /** Key of 16 bytes and salt of 4. */
  key: Uint8Array;
}

/** Tested with tshark 4.0, which also verifies ICVs of 8 bytes under this name. */
const ALGORITHM = 'AES-GCM with 8 octet ICV [RFC4106]';

/** The table; both ends of an association have it, it is written once. */
export function espSa(keys: readonly EspKey[]): string {
  const lines = keys.map(({ source, destination, spi, key }) => {
    const fields = [
      source.includes(':') ? 'IPv6' : 'IPv4',
      source,
      destination,
      `0x${spi.toString(16).padStart(8, '0')}`,
      ALGORITHM,
      hex(key),
      'NULL',
      '',
    ];
    return `${fields.map((field) => `"${field}"`).join(',')}\n`;
  });
  return [...new Set(lines)].join('');
}

/** What must be on for it. */
export const ESP_PREFERENCES = 'esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n';

function hex(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
