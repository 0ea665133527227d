/** Placeholder until the command is here. */
console.log("tracelet")
