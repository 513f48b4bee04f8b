import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createMetadataParser } from '#/protocol/client-metadata.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { grantTypes } from '#/protocol/grant-types.ts'
import { standardScopes } from '#/protocol/scopes.ts'

const rules = {
  grantTypes: grantTypes.filter((name) => !name.endsWith('token-exchange')),
  scopes: standardScopes,
  loopbackHttp: false,
  privateUseSchemes: ['cursor'],
}
const parse = createMetadataParser(rules)
const redirect_uris = ['https://app.example.test/cb']
const with_ = (more: object) => parse({ redirect_uris, ...more })

/** The error's code and words; fails when there is none. */
function refusal(input: object, parser = parse): [string, string] {
  try {
    parser(input)
  } catch (error) {
    if (error instanceof OAuthError) return [error.code, error.message]
    throw error
  }
  throw new Error(`taken: ${JSON.stringify(input)}`)
}

const jwkOf = (type: 'ec' | 'rsa' | 'ed25519', bits = 2048) => {
  const { publicKey, privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519')
  return {
    public: publicKey.export({ format: 'jwk' }),
    private: privateKey.export({ format: 'jwk' }),
  }
}
const ec = jwkOf('ec')
const keysOf = (...keys: object[]) => ({
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys },
})

describe('client metadata', () => {
  it('has the defaults of RFC 7591 §2 and OIDC Dynamic Registration §2', () => {
    expect(parse({ redirect_uris })).toEqual({
      redirect_uris,
      application_type: 'web',
      grant_types: ['authorization_code'],
      scope: 'openid profile email',
      client_name: 'app.example.test',
      client_uri: null,
      logo_uri: null,
      policy_uri: null,
      tos_uri: null,
      contacts: [],
      token_endpoint_auth_method: 'client_secret_basic',
      token_endpoint_auth_signing_alg: null,
      jwks: null,
      jwks_uri: null,
      id_token_signed_response_alg: 'RS256',
      introspection_signed_response_alg: 'RS256',
      userinfo_signed_response_alg: null,
      request_object_signing_alg: null,
      require_signed_request_object: false,
      request_uris: [],
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: false,
      subject_type: 'public',
      sector_identifier_uri: null,
      default_max_age: null,
      require_auth_time: false,
      default_acr_values: [],
      initiate_login_uri: null,
      post_logout_redirect_uris: [],
      backchannel_logout_uri: null,
      backchannel_logout_session_required: false,
    })
  })

  it('keeps what is given', () => {
    const given = {
      redirect_uris: ['https://a.example.test/cb?x=1', 'https://b.example.test/'],
      application_type: 'web',
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      scope: 'openid offline_access',
      client_name: 'Füße & 日本語 👩‍💻',
      client_uri: 'http://a.example.test',
      logo_uri: 'https://a.example.test/logo.png',
      policy_uri: 'https://a.example.test/policy',
      tos_uri: 'https://a.example.test/tos',
      contacts: ['ops@example.test'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'PS256',
      jwks: { keys: [{ ...ec.public, kid: 'k1', use: 'sig', alg: 'ES256' }] },
      jwks_uri: null,
      id_token_signed_response_alg: 'EdDSA',
      introspection_signed_response_alg: 'ES256',
      userinfo_signed_response_alg: 'ES256',
      request_object_signing_alg: 'EdDSA',
      require_signed_request_object: true,
      request_uris: ['https://a.example.test/request.jwt#f00'],
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      subject_type: 'pairwise',
      sector_identifier_uri: 'https://a.example.test/sector.json',
      default_max_age: 0,
      require_auth_time: true,
      default_acr_values: ['urn:example:1'],
      initiate_login_uri: 'https://a.example.test/login',
      post_logout_redirect_uris: ['https://a.example.test/bye'],
      backchannel_logout_uri: 'https://a.example.test/logout?tenant=1',
      backchannel_logout_session_required: true,
    }
    expect(parse(given)).toEqual(given)
  })

  it('ignores what it does not know (RFC 7591 §2), and takes null and empty for absent (RFC 7592 §2.2)', () => {
    const odd = {
      software_id: 'x',
      software_statement: 'not.a.jwt',
      'client_name#de': 7,
      frontchannel_logout_uri: 'https://a.example.test/',
      constructor: 1,
      toString: 'x',
      jwks: null,
      scope: '',
      client_name: '',
      logo_uri: null,
    }
    expect(with_(odd)).toEqual(parse({ redirect_uris }))
  })

  it('takes loopback and private-use redirect URIs for those of a native app, unless told that they are not', () => {
    for (const uri of ['http://127.0.0.1/cb', 'http://[::1]:7/cb', 'com.example.app:/cb']) {
      expect(parse({ redirect_uris: [uri] }).application_type).toBe('native')
      expect(parse({ redirect_uris: [uri], application_type: 'native' })).toMatchObject({
        redirect_uris: [uri],
      })
      expect(refusal({ redirect_uris: [uri], application_type: 'web' })).toEqual([
        'invalid_redirect_uri',
        'redirect_uris must be https for web clients',
      ])
      expect(
        refusal({ redirect_uris, post_logout_redirect_uris: [uri], application_type: 'web' })[0],
      ).toBe('invalid_client_metadata')
    }
  })

  it('gives scopes that go with the grants', () => {
    expect(with_({ grant_types: ['authorization_code', 'refresh_token'] }).scope).toBe(
      'openid profile email offline_access',
    )
    expect(parse({ grant_types: ['client_credentials'] })).toMatchObject({
      scope: '',
      client_name: 'Unnamed client',
    })
    expect(
      parse({ grant_types: ['device_code'], token_endpoint_auth_method: 'none' }),
    ).toMatchObject({
      scope: 'openid profile email',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
    })
  })

  it('lets operators give what nobody can take', () => {
    const operator = createMetadataParser({
      grantTypes,
      scopes: undefined,
      loopbackHttp: true,
      privateUseSchemes: 'any',
    })
    const given = {
      grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      scope: 'reports:read',
      jwks_uri: 'http://127.0.0.1:4711/jwks',
    }
    expect(operator(given)).toMatchObject(given)
    for (const [field, value] of Object.entries(given))
      expect(refusal({ grant_types: ['client_credentials'], [field]: value })[1]).toMatch(
        `${field} must be`,
      )
  })
})

describe('redirect_uris', () => {
  const bad: unknown[] = [
    [],
    'https://app.example.test/cb',
    [7],
    [''],
    ['https://app.example.test/cb', 'nonsense'],
    ['https://app.example.test/cb#x'],
    ['https://app.example.test/ cb'],
    ['https://app.example.test/cb\n'],
    ['https://app.example.test\\@evil.test/cb'],
    ['https:app.example.test/cb'],
    ['HTTPS://app.example.test/cb'],
    ["https://app.example.test;script-src'x'/cb"],
    ['https://user@app.example.test/cb'],
    ['http://app.example.test/cb'],
    ['javascript:alert(1)'],
    ['data:text/html,x'],
    ['myapp:/cb'],
    [`https://app.example.test/${'x'.repeat(2048)}`],
    Array(21).fill('https://app.example.test/cb'),
    {},
  ]
  it.each(bad)('are refused as invalid_redirect_uri: %j', (uris) => {
    const [code, words] = refusal({ redirect_uris: uris })
    expect(code).toBe('invalid_redirect_uri')
    expect(words).toMatch(/^redirect_uris /)
  })

  it('are needed for the code flow alone', () => {
    expect(refusal({})[0]).toBe('invalid_redirect_uri')
    expect(parse({ grant_types: ['client_credentials'] }).redirect_uris).toEqual([])
  })
})

describe('metadata that cannot be', () => {
  const web = 'must be an http or https URL'
  const https = 'must be an https URL without fragment'
  const oneOf = (...values: string[]) => `must be one of ${values.join(', ')}`
  const together = { jwks: { keys: [ec.public] }, jwks_uri: 'https://a.example.test/jwks' }
  const cases: [object, string][] = [
    [{ client_name: 7 }, 'client_name must be a string'],
    [{ client_name: 'x'.repeat(101) }, 'client_name must have at most 100 characters'],
    [{ client_name: 'a\nb' }, 'client_name must be plain text'],
    [{ client_name: '\u202Eknab' }, 'client_name must be plain text'],
    [{ client_uri: 'javascript:alert(1)' }, `client_uri ${web}`],
    [{ logo_uri: 'data:image/png;base64,x' }, `logo_uri ${web}`],
    [{ policy_uri: '/policy' }, `policy_uri ${web}`],
    [{ tos_uri: ['https://a.example.test'] }, 'tos_uri must be a string'],
    [{ contacts: 'ops@example.test' }, 'contacts must be an array'],
    [{ contacts: [7] }, 'contacts must be a string'],
    [{ contacts: Array(21).fill('x') }, 'contacts must have at most 20 items'],
    [{ grant_types: [] }, 'grant_types must name at least one'],
    [{ grant_types: 'authorization_code' }, 'grant_types must be an array'],
    [{ grant_types: ['implicit'] }, `grant_types ${oneOf(...rules.grantTypes)}`],
    [{ grant_types: ['password'] }, `grant_types ${oneOf(...rules.grantTypes)}`],
    [
      { grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'] },
      `grant_types ${oneOf(...rules.grantTypes)}`,
    ],
    [{ response_types: ['token'] }, 'response_types must be one of code'],
    [{ response_types: ['code id_token'] }, 'response_types must be one of code'],
    [
      { response_types: [] },
      'response_types must be code with the authorization code grant, and none without it',
    ],
    [
      { grant_types: ['client_credentials'], response_types: ['code'] },
      'response_types must be code with the authorization code grant, and none without it',
    ],
    [
      {
        grant_types: ['authorization_code', 'client_credentials'],
        token_endpoint_auth_method: 'none',
      },
      'grant_types must not have client_credentials or token-exchange without client authentication',
    ],
    [{ scope: 'openid admin' }, `scope must be made of ${standardScopes.join(', ')}`],
    [{ scope: 'openid "' }, 'scope must be words separated by spaces'],
    [{ scope: ['openid'] }, 'scope must be a string'],
    [{ application_type: 'spa' }, 'application_type must be one of web, native'],
    [
      { token_endpoint_auth_method: 'client_secret_jwt' },
      `token_endpoint_auth_method ${oneOf('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none')}`,
    ],
    [
      { token_endpoint_auth_method: 'private_key_jwt' },
      'jwks or jwks_uri must be given for private_key_jwt',
    ],
    [together, 'jwks_uri must not be given together with jwks'],
    [{ jwks_uri: 'http://a.example.test/jwks' }, `jwks_uri ${https}`],
    [{ jwks_uri: 'http://127.0.0.1/jwks' }, `jwks_uri ${https}`],
    [{ jwks_uri: 'https://u:p@a.example.test/jwks' }, `jwks_uri ${https}`],
    [{ jwks_uri: 'https://a.example.test/jwks#x' }, `jwks_uri ${https}`],
    [{ jwks_uri: 'file:///etc/passwd' }, `jwks_uri ${https}`],
    [
      { id_token_signed_response_alg: 'none' },
      `id_token_signed_response_alg ${oneOf('ES256', 'RS256', 'EdDSA')}`,
    ],
    [
      { id_token_signed_response_alg: 'HS256' },
      `id_token_signed_response_alg ${oneOf('ES256', 'RS256', 'EdDSA')}`,
    ],
    [
      { request_object_signing_alg: 'HS256' },
      `request_object_signing_alg ${oneOf('ES256', 'PS256', 'RS256', 'EdDSA', 'none')}`,
    ],
    [
      { require_signed_request_object: 'true' },
      'require_signed_request_object must be true or false',
    ],
    [
      { require_signed_request_object: true },
      'jwks or jwks_uri must be given for signed request objects',
    ],
    [
      {
        require_signed_request_object: true,
        request_object_signing_alg: 'none',
        jwks: { keys: [ec.public] },
      },
      'request_object_signing_alg must not be none where request objects must be signed',
    ],
    [{ request_uris: ['http://a.example.test/r'] }, 'request_uris must be an https URL'],
    [{ dpop_bound_access_tokens: 1 }, 'dpop_bound_access_tokens must be true or false'],
    [{ subject_type: 'ephemeral' }, 'subject_type must be one of public, pairwise'],
    [{ sector_identifier_uri: 'http://a.example.test/s' }, `sector_identifier_uri ${https}`],
    [{ default_max_age: -1 }, 'default_max_age must not be negative'],
    [{ default_max_age: 1.5 }, 'default_max_age must be a whole number'],
    [{ default_max_age: '60' }, 'default_max_age must be a whole number'],
    [{ default_max_age: 2 ** 31 }, 'default_max_age is too large'],
    [{ default_acr_values: [['x']] }, 'default_acr_values must be a string'],
    [{ initiate_login_uri: 'http://a.example.test/' }, 'initiate_login_uri must be an https URL'],
    [
      { post_logout_redirect_uris: ['http://a.example.test/'] },
      'post_logout_redirect_uris must be https, http on the loopback interface, or of a private-use scheme, without fragment',
    ],
    [{ backchannel_logout_uri: 'http://a.example.test/' }, `backchannel_logout_uri ${https}`],
    [
      { id_token_encrypted_response_alg: 'RSA-OAEP' },
      'id_token_encrypted_response_alg is not supported by this server',
    ],
    [
      { userinfo_encrypted_response_enc: 'A128GCM' },
      'userinfo_encrypted_response_enc is not supported by this server',
    ],
    [
      { request_object_encryption_alg: 'RSA-OAEP' },
      'request_object_encryption_alg is not supported by this server',
    ],
    [
      { authorization_signed_response_alg: 'RS256' },
      'authorization_signed_response_alg is not supported by this server',
    ],
  ]
  it.each(cases)('is refused with the name of the field: %j', (more, words) => {
    expect(refusal({ redirect_uris, ...more })).toEqual(['invalid_client_metadata', words])
  })

  it('says nothing that a header or JSON error could not carry (RFC 6749 §5.2)', () => {
    for (const [more] of cases)
      expect(refusal({ redirect_uris, ...more })[1]).toMatch(
        /^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,150}$/,
      )
  })
})

describe('pairwise subjects', () => {
  const subject_type = 'pairwise'
  const sector_identifier_uri = 'https://sector.example.test/uris.json'
  const cases: [string[], boolean][] = [
    [['https://a.example.test/1', 'https://a.example.test:444/2'], true],
    [['https://a.example.test/1', 'https://b.example.test/1'], false],
    [['http://127.0.0.1/cb'], false],
    [['com.example.app:/cb'], false],
  ]
  it.each(cases)('of %j need no sector identifier: %s', (uris, alone) => {
    const given = { redirect_uris: uris, subject_type }
    if (alone) expect(parse(given).subject_type).toBe(subject_type)
    else expect(refusal(given)[1]).toMatch(/^sector_identifier_uri must be given/)
    expect(parse({ ...given, sector_identifier_uri }).subject_type).toBe(subject_type)
  })
})

describe('jwks', () => {
  const rsa = jwkOf('rsa')
  const ed = jwkOf('ed25519')

  it('takes public keys and keeps no more than describes them', () => {
    const { jwks } = with_(
      keysOf(
        { ...rsa.public, kid: '1', x5c: ['MII'], note: 'x' },
        { ...ec.public, use: 'sig' },
        ed.public,
      ),
    )
    expect(jwks).toEqual({
      keys: [{ ...rsa.public, kid: '1' }, { ...ec.public, use: 'sig' }, ed.public],
    })
  })

  const publicOnly = 'jwks must hold public keys only'
  const usable = 'jwks must hold EC, OKP or RSA keys (of 2048 to 4096 bits)'
  const set = 'jwks must be a JWK Set of 1 to 20 keys'
  const cases: [string, unknown, string][] = [
    ['text', 'keys', set],
    ['a list', [ec.public], set],
    ['no keys', { keys: [] }, set],
    ['keys that are none', { keys: ['x'] }, set],
    ['more keys than anybody needs', { keys: Array(21).fill(ec.public) }, set],
    ['a private EC key', { keys: [ec.public, ec.private] }, publicOnly],
    ['a private RSA key', { keys: [rsa.private] }, publicOnly],
    ['a private Ed25519 key', { keys: [ed.private] }, publicOnly],
    ['a shared key', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }, publicOnly],
    ['an unknown kind of key', { keys: [{ kty: 'XYZ' }] }, usable],
    ['a short RSA key', { keys: [jwkOf('rsa', 1024).public] }, usable],
    ['a long RSA key', { keys: [{ ...rsa.public, n: `${rsa.public.n}${rsa.public.n}A` }] }, usable],
    ['a point that is on no curve', { keys: [{ ...ec.public, x: ec.public.y }] }, usable],
    ['half a key', { keys: [{ kty: 'EC', crv: 'P-256', x: ec.public.x }] }, usable],
  ]
  it.each(cases)('refuses %s', (_, jwks, words) => {
    expect(refusal({ redirect_uris, jwks })).toEqual(['invalid_client_metadata', words])
  })
})
