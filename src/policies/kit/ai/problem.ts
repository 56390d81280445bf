/** A request or an answer cannot be put into another format; the message says why. */
export class ConversionProblem extends Error {}
