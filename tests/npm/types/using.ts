// `using`, with and without the library `esnext.disposable`.
import { createVerifier } from "edgeward";

export function subjectOf(jwt: string): string | undefined {
  using verifier = createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
  return verifier.verifySync(jwt).payload.sub;
}

const disposable: Disposable = createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
disposable[Symbol.dispose]();
