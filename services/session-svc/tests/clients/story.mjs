// What a service written in JavaScript does with our OAuth endpoints, by a library that knows only the RFCs.
// In: one JSON object as the argument. Out: one JSON object. Any refusal by the library ends it with an error.
import * as oauth from 'oauth4webapi'

const { issuer, audience, id, secret, sessionJwt, skewSeconds } = JSON.parse(process.argv[2])
const plain = { [oauth.allowInsecureRequests]: true } // the test's server has no TLS
const client = { client_id: id, [oauth.clockSkew]: skewSeconds }
const auth = oauth.ClientSecretBasic(secret)

const server = await oauth.processDiscoveryResponse(
  new URL(issuer),
  await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...plain }),
)

const token = await oauth.processClientCredentialsResponse(
  server,
  client,
  await oauth.clientCredentialsGrantRequest(server, client, auth, { scope: 'tokens:introspect sessions:revoke' }, plain),
)

// RFC 9068: as a resource server does, from the JWKS alone.
const call = new Request('http://resource.example/', { headers: { Authorization: `Bearer ${token.access_token}` } })
const claims = await oauth.validateJwtAccessToken(server, call, audience, { ...plain, [oauth.clockSkew]: skewSeconds })

const introspect = async (jwt) =>
  oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, auth, jwt, plain))

const before = await introspect(sessionJwt)
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, sessionJwt, plain))
const after = await introspect(sessionJwt)

console.log(JSON.stringify({ scope: token.scope, sub: claims.sub, before: before.active, after: after.active }))
