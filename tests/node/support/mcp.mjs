/** The configuration of a gateway before an MCP server; `X-User` tells the server a claim. */
export const mcpConfig = ({ issuer, resource, url, user }) => ({
  authorizer: { type: "oidc", issuer },
  protected_resource: { resource, scopes_supported: ["mcp:use"] },
  paths: [
    {
      method: "ANY", path: "/mcp", credentials: "bearer", scopes: ["mcp:use"],
      integration: { type: "http_proxy", url, headers: { "X-User": user } },
    },
  ],
});
