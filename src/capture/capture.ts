/** What a capture file holds, whichever format it has. */

/** As pcapng's epb_flags have it: inbound is `received`, outbound is `transmitted`. */
export type Direction = 'received' | 'transmitted';

/** What a file says of one interface it was captured at. A pcap file has exactly one, without a name. */
export interface CaptureInterface {
  name?: string;
  description?: string;
  /** LINKTYPE_ number of the tcpdump.org registry; 1 = Ethernet. */
  linkType: number;
  /** Longest part of a frame that was kept, in bytes; 0 = all of it. */
  snapLength: number;
  /** Ticks of the file's clock in one second: 1_000_000n for microseconds. */
  resolution: bigint;
}

export interface CapturedFrame {
  /** Nanoseconds since 1970 (of virtual time in our own captures). */
  time: bigint;
  /** Index into `Capture.interfaces`. */
  interface: number;
  /** The bytes that were kept: a view into the file, not a copy. */
  data: Uint8Array;
  /** Length on the wire; more than `data.length` where the snap length cut the frame. */
  originalLength: number;
  direction?: Direction;
  comment?: string;
}

export interface Capture {
  interfaces: CaptureInterface[];
  /** In the order of the file. */
  frames: CapturedFrame[];
  /** What was odd about the file, one sentence each. */
  warnings: string[];
  /** The file ends, or becomes unreadable, before its time. */
  truncated: boolean;
}
