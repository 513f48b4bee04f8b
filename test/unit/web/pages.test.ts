import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  renderAuthorizationsPage,
  renderDevicesPage,
  renderSecurityPage,
} from '#/endpoints/account/pages.ts'
import { renderClientSecretPage, renderClientsPage } from '#/endpoints/admin/clients/pages.ts'
import { renderUsersPage } from '#/endpoints/admin/users/pages.ts'
import { renderConsentPage } from '#/endpoints/authorize/pages.ts'
import { renderCodePage, renderConfirmPage } from '#/endpoints/device/pages.ts'
import { renderLoginPage } from '#/endpoints/login/pages.ts'
import { assets, stylesheetPath } from '#/web/pages/layout.ts'
import { formatDistance, formatMoment } from '#/web/pages/times.ts'
import {
  authorizationsProps,
  clientSecretProps,
  clientsProps,
  codeProps,
  confirmProps,
  consentProps,
  csrfToken,
  devicesProps,
  loginProps,
  now,
  pages,
  securityProps,
  sparePages,
  usersProps,
} from './fixtures.ts'
import { actionsInPlainSight, formsOf, isControl, shapeOf, type Tag, tagsOf } from './markup.ts'

const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&<!--`

const everyPage: [string, () => Promise<string>][] = [
  ...Object.entries(pages).map(([name, render]): [string, () => Promise<string>] => [
    name,
    () => render('Ada'),
  ]),
  ...Object.entries(sparePages),
]

const names = (controls: readonly Tag[]) =>
  controls.flatMap(({ attributes }) => attributes.get('name') ?? [])

const field = (markup: string, name: string) =>
  tagsOf(markup).find(({ attributes }) => attributes.get('name') === name)?.attributes

const actionsOf = (markup: string) => formsOf(markup).map((form) => form.attributes.get('action'))

describe('every page', () => {
  it.each(Object.entries(pages))(
    'escapes hostile text wherever it appears: %s',
    async (_, render) => {
      const attacked = await render(hostile)
      expect(attacked).not.toContain(hostile)
      expect(attacked).toContain('&lt;script&gt;')
      expect(shapeOf(attacked)).toEqual(shapeOf(await render('Ada')))
    },
  )

  it.each(everyPage)(
    'posts every form with the CSRF token, and puts it in no address: %s',
    async (_, render) => {
      for (const { attributes, controls } of formsOf(await render())) {
        const tokens = controls.filter((control) => control.attributes.get('name') === 'csrf_token')
        if (attributes.get('role') === 'search') {
          expect(attributes.get('method')).toBe('get')
          expect(tokens).toEqual([])
        } else {
          expect(attributes.get('method')).toBe('post')
          expect(tokens.map((token) => token.attributes.get('value'))).toEqual([csrfToken])
        }
      }
    },
  )

  it.each(everyPage)(
    'has no inline script or style, which its policy forbids: %s',
    async (_, render) => {
      for (const { name, attributes } of tagsOf(await render())) {
        if (name === 'script') expect(assets.has(attributes.get('src') ?? '')).toBe(true)
        expect(['style', 'iframe', 'object', 'base']).not.toContain(name)
        for (const attribute of attributes.keys()) expect(attribute).not.toMatch(/^(on.*|style)$/i)
      }
    },
  )

  it.each(everyPage)('labels every input and resolves every reference: %s', async (_, render) => {
    const tags = tagsOf(await render())
    const ids = tags.flatMap(({ attributes }) => attributes.get('id') ?? [])
    expect(new Set(ids).size).toBe(ids.length)
    const labelled = tags.flatMap(({ name, attributes }) =>
      name === 'label' ? (attributes.get('for') ?? []) : [],
    )
    for (const { name, attributes } of tags) {
      if (isControl(name) && name !== 'button' && attributes.get('type') !== 'hidden') {
        expect(labelled).toContain(attributes.get('id'))
      }
      for (const id of attributes.get('aria-describedby')?.split(' ') ?? []) {
        expect(ids).toContain(id)
      }
    }
  })

  it.each(everyPage)(
    'has one heading of the first level, one main landmark and a way to skip to it: %s',
    async (_, render) => {
      const tags = tagsOf(await render())
      expect(tags.filter(({ name }) => name === 'h1')).toHaveLength(1)
      const [main, ...others] = tags.filter(({ name }) => name === 'main')
      expect(others).toEqual([])
      const [skip] = tags.filter(({ name }) => name === 'a')
      expect(skip?.attributes.get('href')).toBe(`#${main?.attributes.get('id')}`)
    },
  )

  it.each(everyPage)('loads nothing but the assets that are served: %s', async (_, render) => {
    const links = tagsOf(await render()).filter(({ name }) => name === 'link')
    expect(links).toHaveLength(2)
    for (const { attributes } of links) expect(assets.has(attributes.get('href') ?? '')).toBe(true)
  })
})

describe('assets', () => {
  it('change their name with their content', () => {
    for (const [path, { body }] of assets) {
      const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
      expect(path).toMatch(new RegExp(`^/assets/[a-z]+\\.${hash}\\.(css|js|svg)$`))
    }
    expect(assets.get(stylesheetPath)?.type).toBe('text/css; charset=utf-8')
  })

  it('fetch nothing from elsewhere', () => {
    expect(assets.get(stylesheetPath)?.body).not.toMatch(/@import|url\(|https?:/)
  })
})

describe('navigation', () => {
  it('marks the page that is open', async () => {
    const current = tagsOf((await pages['users']?.('Ada')) ?? '').filter(({ attributes }) =>
      attributes.has('aria-current'),
    )
    expect(current.map(({ attributes }) => attributes.get('href'))).toEqual(['/admin/users'])
  })

  it('leads an admin from one section into the other', async () => {
    const switches = async (page: string) =>
      tagsOf((await pages[page]?.('Ada')) ?? '')
        .filter(({ attributes }) => attributes.get('class') === 'tabs-switch')
        .map(({ attributes }) => attributes.get('href'))
    expect(await switches('users')).toEqual(['/account/devices'])
    expect(await switches('devices')).toEqual(['/admin'])
  })

  it('shows the operator pages to admins only', async () => {
    const props = devicesProps('Ada')
    const asUser = String(
      await renderDevicesPage({ ...props, user: { username: 'ada', isAdmin: false } }),
    )
    expect(String(await renderDevicesPage(props))).toContain('href="/admin/users"')
    expect(asUser).not.toContain('/admin/')
    expect(asUser).toContain('href="/account/authorizations"')
    expect(asUser).not.toContain('Administration')
  })

  it('offers no navigation and no sign-out before somebody is signed in', async () => {
    const markup = String(await renderLoginPage(loginProps('Ada')))
    expect(actionsOf(markup)).toEqual(['/login'])
    expect(tagsOf(markup).map(({ name }) => name)).not.toContain('nav')
  })
})

describe('sign-in page', () => {
  it('posts the fields that the route reads', async () => {
    const [form] = formsOf(String(await renderLoginPage(loginProps('/account/devices'))))
    expect(names(form?.controls ?? [])).toEqual([
      'csrf_token',
      'redirect',
      'submission',
      'username',
      'password',
      'remember_me',
    ])
  })

  it('puts the cursor where typing goes on, and helps password managers', async () => {
    const { username: _, error: __, ...fresh } = loginProps('/')
    const first = String(await renderLoginPage(fresh))
    const again = String(await renderLoginPage(loginProps('ada')))
    expect(field(first, 'username')?.has('autofocus')).toBe(true)
    expect(field(first, 'password')?.has('autofocus')).toBe(false)
    expect(field(again, 'username')?.has('autofocus')).toBe(false)
    expect(field(again, 'password')?.has('autofocus')).toBe(true)
    expect(field(first, 'username')?.get('autocomplete')).toBe('username')
    expect(field(first, 'password')?.get('autocomplete')).toBe('current-password')
  })

  it('never sends a password back', async () => {
    const markup = String(await renderLoginPage(loginProps('ada')))
    expect(field(markup, 'password')?.has('value')).toBe(false)
  })

  it('ties a refusal to both fields without saying which was wrong', async () => {
    const markup = String(await renderLoginPage(loginProps('ada')))
    for (const name of ['username', 'password']) {
      expect(field(markup, name)?.get('aria-invalid')).toBe('true')
      expect(field(markup, name)?.get('aria-describedby')).toBe('login-error')
    }
  })

  it('offers to stay signed in only where that is allowed', async () => {
    const markup = String(await renderLoginPage({ ...loginProps('ada'), rememberMeEnabled: false }))
    expect(field(markup, 'remember_me')).toBeUndefined()
  })
})

describe('consent page', () => {
  const props = consentProps('Ada')

  it('names the app, the account and every scope, and where the answer leads', async () => {
    const markup = String(
      await renderConsentPage({
        ...props,
        client: { name: 'Field Notes', redirectHost: 'notes.example.test' },
        user: { username: 'grace' },
        scopes: [{ name: 'email', title: 'See your address', detail: 'And whether it is yours.' }],
      }),
    )
    for (const words of [
      'Field Notes',
      'grace',
      'See your address',
      'And whether it is yours.',
      'notes.example.test',
    ]) {
      expect(markup).toContain(words)
    }
  })

  it('asks with two buttons of one form', async () => {
    const [signOut, form, ...others] = formsOf(String(await renderConsentPage(props)))
    expect(signOut?.attributes.get('action')).toBe('/logout')
    expect(others).toEqual([])
    const buttons = form?.controls.filter(({ name }) => name === 'button') ?? []
    expect(buttons.map(({ attributes }) => attributes.get('value'))).toEqual(['approve', 'deny'])
    expect(names(form?.controls ?? [])).toContain('authorization_request')
  })

  it.each([
    [undefined, true, 'Access lasts about 1 hour, or until you sign out.'],
    [undefined, false, 'Access lasts about 1 hour.'],
    [
      90,
      false,
      'Access lasts up to 90 days, even while you are away; each token lasts about 1 hour.',
    ],
  ])('says for how long: %s days while away, with the session %s', async (days, ends, words) => {
    const refreshMs = days && days * 86_400_000
    const lasting = { accessMs: 3_600_000, refreshMs, endsWithSession: ends }
    expect(String(await renderConsentPage({ ...props, lasting }))).toContain(words)
  })

  it('marks what was allowed before, and only that', async () => {
    const marks = async (alreadyGranted: string[]) =>
      String(await renderConsentPage({ ...props, alreadyGranted })).split('Already allowed')
        .length - 1
    expect(await marks([])).toBe(0)
    expect(await marks(['openid'])).toBe(1)
    expect(await marks(['openid', 'unasked'])).toBe(1)
  })

  it.each(['javascript:alert(1)', 'data:text/html,x', 'not a uri', ''])(
    'makes no link of a home page or terms that are not on the web: %s',
    async (uri) => {
      const client = { ...props.client, uri, policyUri: uri, tosUri: uri }
      const markup = String(await renderConsentPage({ ...props, client }))
      const hrefs = tagsOf(markup).flatMap(({ attributes }) => attributes.get('href') ?? [])
      expect(hrefs).not.toContain(uri)
      expect(tagsOf(markup).some(({ attributes }) => attributes.has('target'))).toBe(false)
    },
  )
})

describe('device confirmation', () => {
  it('asks with two buttons of one form, and puts the code where it can be compared', async () => {
    const markup = String(await renderConfirmPage(confirmProps('BCDF-GHJK')))
    const [signOut, form, ...others] = formsOf(markup)
    expect(signOut?.attributes.get('action')).toBe('/logout')
    expect(others).toEqual([])
    expect(form?.attributes.get('action')).toBe('/device/decide')
    const buttons = form?.controls.filter(({ name }) => name === 'button') ?? []
    expect(buttons.map(({ attributes }) => attributes.get('value'))).toEqual(['approve', 'deny'])
    expect([...new Set(names(form?.controls ?? []))]).toEqual([
      'csrf_token',
      'request',
      'user_code',
      'action',
    ])
    expect(markup).toContain('<p class="user-code">BCDF-GHJK</p>')
  })

  it('takes the focus to the code only where it has to be typed', async () => {
    const autofocus = async (prefilled: boolean) =>
      field(String(await renderCodePage({ ...codeProps('x'), prefilled })), 'user_code')?.has(
        'autofocus',
      )
    expect([await autofocus(false), await autofocus(true)]).toEqual([true, false])
  })
})

describe('devices page', () => {
  it('offers to end every session but the one that is looking', async () => {
    const [other, current] = devicesProps('Ada').sessions
    const sessions = [other, current].flatMap((row, n) => (row ? [{ ...row, id: `id-${n}` }] : []))
    const markup = String(await renderDevicesPage({ ...devicesProps('Ada'), sessions }))
    expect(actionsOf(markup)).toEqual([
      '/logout',
      '/account/devices/revoke-others',
      '/account/devices/id-0/revoke',
    ])
    expect(markup.split('This device')).toHaveLength(2)
  })

  it('offers nothing to end when there is only this one', async () => {
    const sessions = devicesProps('Ada').sessions.filter(({ current }) => current)
    const markup = String(await renderDevicesPage({ ...devicesProps('Ada'), sessions }))
    expect(actionsOf(markup)).toEqual(['/logout'])
  })
})

describe('destructive actions', () => {
  it('wait behind a first step', async () => {
    const all = [
      String(await renderAuthorizationsPage(authorizationsProps('1'))),
      String(await renderUsersPage(usersProps('1'))),
      String(await renderClientsPage(clientsProps('1'))),
    ]
    const destructive = /\/(revoke|disable|delete|reset-password|regenerate-secret)$/
    for (const markup of all) {
      expect(actionsOf(markup).some((action) => destructive.test(action ?? ''))).toBe(true)
      expect(actionsInPlainSight(markup).filter((action) => destructive.test(action))).toEqual([])
    }
  })
})

describe('users page', () => {
  const [person] = usersProps('1').users
  const withUser = async (more: Partial<UsersRow>, viewer = 'root') =>
    actionsOf(
      String(
        await renderUsersPage({
          ...usersProps(''),
          user: { username: viewer, isAdmin: true },
          users: person ? [{ ...person, id: 'id', username: 'ada', ...more }] : [],
        }),
      ),
    ).filter((action) => action?.startsWith('/admin/users/'))
  type UsersRow = NonNullable<typeof person>

  it('offers what applies to the account', async () => {
    expect(await withUser({})).toEqual([
      '/admin/users/id/reset-password',
      '/admin/users/id/disable',
      '/admin/users/id/delete',
    ])
    expect(await withUser({ isActive: false, authSource: 'oauth' })).toEqual([
      '/admin/users/id/enable',
      '/admin/users/id/delete',
    ])
  })

  it('offers nobody to disable or delete themselves', async () => {
    expect(await withUser({}, 'ada')).toEqual([])
  })

  it('creates accounts with the fields that the route reads', async () => {
    const create = formsOf(String(await renderUsersPage(usersProps('1')))).find(
      ({ attributes }) =>
        attributes.get('action') === '/admin/users' && attributes.get('method') === 'post',
    )
    expect([...new Set(names(create?.controls ?? []))]).toEqual([
      'csrf_token',
      'username',
      'email',
      'full_name',
      'password',
      'role',
    ])
  })
})

describe('clients page', () => {
  it('offers a new secret only to clients that have one', async () => {
    const offers = async (hasSecret: boolean) =>
      String(
        await renderClientsPage({
          ...clientsProps('1'),
          clients: clientsProps('1').clients.map((client) => ({ ...client, hasSecret })),
        }),
      ).includes('/regenerate-secret')
    expect(await offers(true)).toBe(true)
    expect(await offers(false)).toBe(false)
  })

  it('keeps a client id within its segment of the path', async () => {
    const markup = String(await renderClientsPage(clientsProps('../users?x=1')))
    for (const action of actionsOf(markup)) {
      expect(action).toMatch(/^\/(logout|admin\/clients(\/[^/?]+\/[a-z-]+)?)$/)
    }
  })

  it('asks about those that wait before all others, and decides on what was looked at', async () => {
    const { pending, ...props } = clientsProps('1')
    const markup = String(await renderClientsPage({ ...props, pending }))
    expect(actionsOf(markup).slice(2, 4)).toEqual([
      '/admin/clients/1/approve',
      '/admin/clients/1/reject',
    ])
    for (const { attributes, controls } of formsOf(markup)) {
      const seen = controls.find((control) => control.attributes.get('name') === 'seen')
      const decides = /(approve|reject)$/.test(attributes.get('action') ?? '')
      expect(seen?.attributes.get('value')).toBe(decides ? pending[0]?.version : undefined)
    }
    expect(String(await renderClientsPage({ ...props, pending: [] }))).not.toContain('approv')
  })

  const createForm = (markup: string) =>
    formsOf(markup).find(
      ({ attributes }) =>
        attributes.get('action') === '/admin/clients' && attributes.get('method') === 'post',
    )

  it('creates clients with the fields that the route reads', async () => {
    const create = createForm(String(await renderClientsPage(clientsProps('1'))))
    expect([...new Set(names(create?.controls ?? []))]).toEqual([
      'csrf_token',
      'client_name',
      'client_uri',
      'token_endpoint_auth_method',
      'redirect_uris',
      'application_type',
      'grant_types',
      'scope',
      'other_scopes',
      'jwks',
      'jwks_uri',
      'id_token_signed_response_alg',
      'userinfo_signed_response_alg',
      'introspection_signed_response_alg',
      'require_pkce',
      'require_pushed_authorization_requests',
      'dpop_bound_access_tokens',
      'require_signed_request_object',
      'token_profile',
      'refresh_token_mode',
      'allowed_resources',
      'served_resources',
      'extra_claims',
      'post_logout_redirect_uris',
      'backchannel_logout_uri',
      'subject_type',
      'backchannel_logout_session_required',
      'sector_identifier_uri',
    ])
  })

  it('needs no more than a name, a type and a redirect URI', async () => {
    const create = createForm(String(await renderClientsPage(clientsProps('1'))))
    const required = create?.controls.filter(({ attributes }) => attributes.has('required')) ?? []
    expect(names(required)).toEqual(['client_name'])
  })

  it('gives a refused form back as it was sent', async () => {
    const values = new URLSearchParams({
      client_name: 'Shop',
      token_endpoint_auth_method: 'none',
      redirect_uris: 'https://a.test/ https://b.test/',
      id_token_signed_response_alg: 'RS256',
      token_profile: 'long',
    })
    for (const grant of ['client_credentials', 'refresh_token']) values.append('grant_types', grant)
    const refused = { values, problem: 'Not like that.', field: 'redirect_uris' }
    const markup = String(await renderClientsPage({ ...clientsProps('1'), refused }))
    const controls = createForm(markup)?.controls ?? []
    const chosen = controls
      .filter(({ attributes }) => attributes.has('checked'))
      .map(({ attributes }) => attributes.get('value'))
    expect(chosen).toEqual(['none', 'refresh_token', 'client_credentials', 'long'])
    expect(markup).toContain('>https://a.test/ https://b.test/</textarea>')
    expect(markup).toContain('<option value="RS256" selected>')
    const wrong = controls.filter(({ attributes }) => attributes.has('aria-invalid'))
    expect(names(wrong)).toEqual(['redirect_uris'])
    expect(wrong[0]?.attributes.get('aria-describedby')).toContain('form-problem')
    expect(markup).toMatch(/role="alert" id="form-problem">.*Not like that\./)
  })

  it('warns that a secret is shown once, and only when there is one', async () => {
    const { clientSecret: _, ...without } = clientSecretProps('1')
    expect(String(await renderClientSecretPage(clientSecretProps('1')))).toContain('only once')
    expect(String(await renderClientSecretPage(without))).not.toContain('only once')
  })
})

describe('security page', () => {
  it('ties each error to its field', async () => {
    const markup = String(
      await renderSecurityPage({ ...securityProps('ada'), errors: { current: 'Not that one.' } }),
    )
    const fields = tagsOf(markup).filter(({ name }) => name === 'input')
    const invalid = fields.filter(({ attributes }) => attributes.has('aria-invalid'))
    expect(names(invalid)).toEqual(['current_password'])
    expect(invalid[0]?.attributes.get('aria-describedby')).toBe('current_password-error')
    expect(markup).toMatch(/id="current_password-error">.*Not that one\./)
  })

  it('asks for no password where it is kept elsewhere', async () => {
    const markup = String(
      await renderSecurityPage({ ...securityProps('ada'), errors: {}, passwordChangeable: false }),
    )
    expect(actionsOf(markup)).toEqual([
      '/logout',
      '/account/security/links/ada/remove',
      '/account/security/links/oidc',
    ])
  })
})

describe('times', () => {
  it('are written in UTC', () => {
    expect(formatMoment(new Date('2026-01-02T23:59:58Z'))).toBe('2 Jan 2026, 23:59 UTC')
  })

  it.each([
    [0, 'just now'],
    [-59, 'just now'],
    [-60, '1 minute ago'],
    [-3599, '59 minutes ago'],
    [-7200, '2 hours ago'],
    [-86_400 * 3, '3 days ago'],
    [-86_400 * 400, '1 year ago'],
    [3600 * 12, 'in 12 hours'],
  ])('are said relative to now: %d seconds is %s', (seconds, words) => {
    expect(formatDistance(new Date(now.getTime() + seconds * 1000), now)).toBe(words)
  })

  it('are exact for machines', async () => {
    const markup = String(await renderDevicesPage(devicesProps('Ada')))
    expect(markup).toContain('datetime="2026-03-04T05:03:07.000Z"')
  })
})
