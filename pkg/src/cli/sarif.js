// Problems as SARIF 2.1.0, the format of code scanning.

const RULES = {
  configuration: "A problem of the configuration itself.",
  provider: "A problem that the providers of the configuration show.",
};

export function sarifOf(problems) {
  const ids = Object.keys(RULES);
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{
      tool: { driver: { name: "edgeward", version: EDGEWARD_VERSION, rules: ids.map((id) => ({ id, shortDescription: { text: RULES[id] } })) } },
      columnKind: "utf16CodeUnits",
      results: problems.map(({ file, path, message, isError, source, line, column }) => ({
        ruleId: source,
        ruleIndex: ids.indexOf(source),
        level: isError ? "error" : "warning",
        message: { text: path === "" ? message : `${path}: ${message}` },
        locations: [{
          physicalLocation: {
            artifactLocation: { uri: encodeURI(file.replaceAll("\\", "/")) },
            ...(line === null ? {} : { region: { startLine: line, startColumn: column } }),
          },
        }],
      })),
    }],
  };
}
