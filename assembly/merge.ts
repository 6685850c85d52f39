// The entry of the small module that merges what several engines have captured, in memory that their threads share.

export { merge, merged } from "./capture/merge";
