/** A token that passed. Its claims were parsed and checked by the core; here they become objects when they are read. */
export class VerifiedToken {
  #texts;
  #header;
  #payload;

  constructor(texts) {
    this.#texts = texts;
  }

  get header() {
    return (this.#header ??= JSON.parse(this.#texts[0]));
  }

  get payload() {
    return (this.#payload ??= JSON.parse(this.#texts[1]));
  }

  get scopes() {
    const { scope } = this.payload;
    return typeof scope === "string" ? scope.split(" ").filter((word) => word !== "") : [];
  }

  get permissions() {
    const { permissions } = this.payload;
    return Array.isArray(permissions) ? [...permissions] : [];
  }
}
