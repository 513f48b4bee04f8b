SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA drizzle;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE drizzle.__drizzle_migrations (
    id integer NOT NULL,
    hash text NOT NULL,
    created_at bigint
);
CREATE SEQUENCE drizzle.__drizzle_migrations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE drizzle.__drizzle_migrations_id_seq OWNED BY drizzle.__drizzle_migrations.id;
CREATE TABLE public.audit_events (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    type text NOT NULL,
    severity text NOT NULL,
    success boolean NOT NULL,
    actor_user_id text,
    actor_name text,
    client_id text,
    resource_type text,
    resource_id text,
    ip text,
    user_agent text,
    trace_id text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);
ALTER TABLE public.audit_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.authorization_codes (
    code_hash text NOT NULL,
    client_id text NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    family_id uuid NOT NULL,
    redirect_uri text NOT NULL,
    scope text NOT NULL,
    nonce text,
    code_challenge text,
    auth_time timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    consumed_at timestamp with time zone,
    resources text[] DEFAULT '{}'::text[] NOT NULL,
    dpop_jkt text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);
CREATE TABLE public.authorization_requests (
    id text NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    scope text NOT NULL,
    state text,
    nonce text,
    code_challenge text,
    expires_at timestamp with time zone NOT NULL,
    response_mode text DEFAULT 'query'::text NOT NULL,
    resources text[] DEFAULT '{}'::text[] NOT NULL,
    claims jsonb,
    dpop_jkt text,
    interaction jsonb DEFAULT '{}'::jsonb NOT NULL,
    pushed boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.clients (
    client_id text NOT NULL,
    name text NOT NULL,
    uri text,
    type text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    secret_hash text,
    token_endpoint_auth_method text NOT NULL,
    redirect_uris text[] NOT NULL,
    grant_types text[] NOT NULL,
    scope text NOT NULL,
    owner_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    application_type text DEFAULT 'web'::text NOT NULL,
    logo_uri text,
    policy_uri text,
    tos_uri text,
    contacts text[] DEFAULT '{}'::text[] NOT NULL,
    jwks jsonb,
    jwks_uri text,
    token_endpoint_auth_signing_alg text,
    id_token_signed_response_alg text DEFAULT 'ES256'::text NOT NULL,
    userinfo_signed_response_alg text,
    introspection_signed_response_alg text DEFAULT 'ES256'::text NOT NULL,
    request_object_signing_alg text,
    require_signed_request_object boolean DEFAULT false NOT NULL,
    request_uris text[] DEFAULT '{}'::text[] NOT NULL,
    require_pushed_authorization_requests boolean DEFAULT false NOT NULL,
    dpop_bound_access_tokens boolean DEFAULT false NOT NULL,
    subject_type text DEFAULT 'public'::text NOT NULL,
    sector_identifier_uri text,
    default_max_age integer,
    require_auth_time boolean DEFAULT false NOT NULL,
    default_acr_values text[] DEFAULT '{}'::text[] NOT NULL,
    initiate_login_uri text,
    post_logout_redirect_uris text[] DEFAULT '{}'::text[] NOT NULL,
    backchannel_logout_uri text,
    backchannel_logout_session_required boolean DEFAULT false NOT NULL,
    token_profile text DEFAULT 'standard'::text NOT NULL,
    refresh_token_mode text DEFAULT 'rotating'::text NOT NULL,
    allowed_resources text[] DEFAULT '{}'::text[] NOT NULL,
    served_resources text[] DEFAULT '{}'::text[] NOT NULL,
    extra_claims boolean DEFAULT false NOT NULL,
    registration_token_hash text,
    description text DEFAULT ''::text NOT NULL,
    CONSTRAINT clients_status CHECK ((status = ANY (ARRAY['pending'::text, 'active'::text, 'inactive'::text]))),
    CONSTRAINT clients_token_profile CHECK ((token_profile = ANY (ARRAY['short'::text, 'standard'::text, 'long'::text]))),
    CONSTRAINT clients_type CHECK ((type = ANY (ARRAY['confidential'::text, 'public'::text])))
);
CREATE TABLE public.consents (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    client_id text NOT NULL,
    scope text NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);
CREATE TABLE public.device_codes (
    id uuid NOT NULL,
    device_code_hash text NOT NULL,
    user_code_hash text NOT NULL,
    client_id text NOT NULL,
    scope text NOT NULL,
    resources text[] DEFAULT '{}'::text[] NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    ip text NOT NULL,
    requester text NOT NULL,
    user_id uuid,
    auth_time timestamp with time zone,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    family_id uuid NOT NULL,
    interval_seconds integer NOT NULL,
    last_polled_at timestamp with time zone,
    last_polled_too_early boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT device_codes_status CHECK ((status = ANY (ARRAY['pending'::text, 'approved'::text, 'denied'::text, 'redeemed'::text, 'expired'::text])))
);
CREATE TABLE public.identities (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    source text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    label text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    CONSTRAINT identities_source CHECK ((source = ANY (ARRAY['http_api'::text, 'github'::text, 'gitea'::text, 'gitlab'::text, 'microsoft'::text, 'oidc'::text])))
);
CREATE TABLE public.logout_deliveries (
    id uuid NOT NULL,
    client_id text NOT NULL,
    sid uuid NOT NULL,
    user_id uuid NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.server_secrets (
    name text NOT NULL,
    sealed_value text NOT NULL,
    sealed_with text NOT NULL
);
CREATE TABLE public.session_clients (
    session_id uuid NOT NULL,
    client_id text NOT NULL,
    sid uuid NOT NULL
);
CREATE TABLE public.sessions (
    id uuid NOT NULL,
    user_id uuid,
    login_source text NOT NULL,
    remembered boolean NOT NULL,
    browser text NOT NULL,
    platform text NOT NULL,
    ip text NOT NULL,
    fingerprint text,
    created_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    idle_expires_at timestamp with time zone,
    lapses_at timestamp with time zone GENERATED ALWAYS AS (LEAST(expires_at, idle_expires_at)) STORED NOT NULL,
    ended_at timestamp with time zone,
    end_reason text,
    auth_time timestamp with time zone,
    CONSTRAINT sessions_end_reason CHECK ((end_reason = ANY (ARRAY['logout'::text, 'idle_timeout'::text, 'timeout'::text, 'fingerprint_mismatch'::text, 'account_inactive'::text, 'revoked'::text, 'replaced'::text, 'password_changed'::text]))),
    CONSTRAINT sessions_ended_with_reason CHECK (((ended_at IS NULL) = (end_reason IS NULL)))
);
CREATE TABLE public.signing_keys (
    kid text NOT NULL,
    algorithm text NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed_private_jwk text NOT NULL,
    sealed_with text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    activates_at timestamp with time zone DEFAULT now() NOT NULL,
    retires_at timestamp with time zone,
    expires_at timestamp with time zone
);
CREATE TABLE public.tokens (
    id uuid NOT NULL,
    type text NOT NULL,
    secret_hash text,
    family_id uuid NOT NULL,
    client_id text NOT NULL,
    user_id uuid,
    session_id uuid,
    scope text NOT NULL,
    auth_time timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    revocation_reason text,
    origin_client_id text,
    resources text[] DEFAULT '{}'::text[] NOT NULL,
    dpop_jkt text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    family_expires_at timestamp with time zone,
    CONSTRAINT tokens_revoked_with_reason CHECK (((revoked_at IS NULL) = (revocation_reason IS NULL))),
    CONSTRAINT tokens_type CHECK ((type = ANY (ARRAY['access'::text, 'refresh'::text])))
);
CREATE TABLE public.used_proofs (
    key text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    username text NOT NULL,
    email text NOT NULL,
    email_verified boolean DEFAULT false NOT NULL,
    full_name text DEFAULT ''::text NOT NULL,
    role text DEFAULT 'user'::text NOT NULL,
    auth_source text DEFAULT 'local'::text NOT NULL,
    password_hash text,
    is_active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_auth_source CHECK ((auth_source = ANY (ARRAY['local'::text, 'http_api'::text, 'oauth'::text]))),
    CONSTRAINT users_role CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text])))
);
ALTER TABLE ONLY drizzle.__drizzle_migrations ALTER COLUMN id SET DEFAULT nextval('drizzle.__drizzle_migrations_id_seq'::regclass);
INSERT INTO drizzle.__drizzle_migrations VALUES (1, '959c4a7cf84cecab3912ae40edc7e98344bea7ea1592ae470ba8449036f706eb', 1795489091552);
INSERT INTO drizzle.__drizzle_migrations VALUES (2, 'f2c1896ec07f06bd4f330a4d9c4ab5668f87e1c69872a72bfd543ee031693d28', 1795525000000);
INSERT INTO drizzle.__drizzle_migrations VALUES (3, 'b6303f3a914b5fd491c22332038bb4af37829a9a7a53517d76a8585dbd03f7d6', 1795543000000);
INSERT INTO drizzle.__drizzle_migrations VALUES (4, 'b89997cd420dc50d2831a490f1d6fb2e713c1f2393a9ecf1933763cfbd67b368', 1795560523507);
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-30 10:01:22.03+00', 'USER_CREATED', 'info', true, NULL, NULL, NULL, 'user', 'c4b1741f-1e72-4506-a55d-f41a93776774', NULL, NULL, NULL, '{"role": "admin", "username": "admin"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-30 10:01:22.03+00', 'CLIENT_CREATED', 'info', true, NULL, NULL, '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'client', '9928ebec-f79d-4394-9559-3fdc2fa365a2', NULL, NULL, NULL, '{}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (3, '2026-11-30 10:01:41.366+00', 'AUTHENTICATION_SUCCESS', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', NULL, 'session', '739ab49f-15ec-48fd-8c47-4e3c8fdea874', '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'cbd1648e9b0c41e6b5bb644998c8e8f6', '{"replaced": 0, "remembered": true, "auth_source": "local"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (4, '2026-11-30 10:01:41.634+00', 'USER_AUTHORIZATION_GRANTED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '9928ebec-f79d-4394-9559-3fdc2fa365a2', NULL, NULL, '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '94b89027ea1b40e6b86f61ecbaccf0fa', '{"scope": "openid profile offline_access"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (5, '2026-11-30 10:01:41.634+00', 'AUTHORIZATION_CODE_GENERATED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '9928ebec-f79d-4394-9559-3fdc2fa365a2', NULL, NULL, '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '94b89027ea1b40e6b86f61ecbaccf0fa', '{"scope": "openid profile offline_access"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (6, '2026-11-30 10:01:41.669+00', 'AUTHORIZATION_CODE_EXCHANGED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'token_family', '195f7dfb-6d78-44e6-a1aa-eda70892a08e', '127.0.0.1', 'node', '8db41dd8e0624f548d16130cd7ce240b', '{"scope": "openid profile offline_access", "offline": true}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (7, '2026-11-30 10:01:41.697+00', 'CLIENT_REGISTERED', 'info', true, NULL, NULL, '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', 'client', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', '127.0.0.1', 'node', '62241ceb1e7347739477b82ec5381f0c', '{"status": "active"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (8, '2026-11-30 10:01:41.801+00', 'USER_AUTHORIZATION_GRANTED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', NULL, NULL, '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '7728e870834c408cbeacbbb47b96b64e', '{"scope": "openid profile offline_access"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (9, '2026-11-30 10:01:41.801+00', 'AUTHORIZATION_CODE_GENERATED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', NULL, NULL, '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '7728e870834c408cbeacbbb47b96b64e', '{"scope": "openid profile offline_access"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (10, '2026-11-30 10:01:41.854+00', 'DEVICE_CODE_GENERATED', 'info', true, NULL, NULL, '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'device_code', '00bbae16-b95d-48fa-8183-90436f1f4764', '127.0.0.1', 'node', 'a860109df5aa4f2f9a5bf0208e0a8773', '{"scope": "openid"}');
INSERT INTO public.audit_events OVERRIDING SYSTEM VALUE VALUES (11, '2026-11-30 10:01:41.942+00', 'DEVICE_CODE_AUTHORIZED', 'info', true, 'c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'device_code', '00bbae16-b95d-48fa-8183-90436f1f4764', '127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '736bf7850298446285aae2e2b8eee453', '{"scope": "openid", "requested_from": "127.0.0.1"}');
INSERT INTO public.authorization_codes VALUES ('KB0qZGAa1Y2mMqAM_qcLgkgkuRVJHi0fvWffXQ8c1GA', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'c4b1741f-1e72-4506-a55d-f41a93776774', '739ab49f-15ec-48fd-8c47-4e3c8fdea874', '195f7dfb-6d78-44e6-a1aa-eda70892a08e', 'http://127.0.0.1:5000/callback', 'openid profile offline_access', 'nonce-1', '7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM', '2026-11-30 10:01:41.366+00', '2026-11-30 10:02:41.634+00', '2026-11-30 10:01:41.669+00', '{}', NULL, '{"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}');
INSERT INTO public.authorization_codes VALUES ('Yuae3e4B9ny46FGIXtDW0rVyM3dPPRHdBtuf5-6zlok', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', 'c4b1741f-1e72-4506-a55d-f41a93776774', '739ab49f-15ec-48fd-8c47-4e3c8fdea874', '3a9335a6-dd92-4c31-80b9-d4fb10f0d125', 'https://app.example.test/callback', 'openid profile offline_access', 'nonce-1', '7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM', '2026-11-30 10:01:41.366+00', '2026-11-30 10:02:41.801+00', NULL, '{}', NULL, '{"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}');
INSERT INTO public.authorization_requests VALUES ('VrId2ajSuVgFlJIr9wcNtdji9Aw4py52JuIpcgfH7gA', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'http://127.0.0.1:5000/callback', 'openid profile offline_access', 'state-1', 'nonce-1', '7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM', '2026-11-30 10:11:41.506+00', 'query', '{}', NULL, NULL, '{}', false, '2026-11-30 10:01:41.506+00');
INSERT INTO public.authorization_requests VALUES ('NgzDbo-pJMIqoGxalGzFdRw2VIcsKQsUT68eQKQCY5o', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', 'https://app.example.test/callback', 'openid profile offline_access', 'state-1', 'nonce-1', '7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM', '2026-11-30 10:11:41.726+00', 'query', '{}', NULL, NULL, '{}', false, '2026-11-30 10:01:41.726+00');
INSERT INTO public.clients VALUES ('9928ebec-f79d-4394-9559-3fdc2fa365a2', 'AuthGate CLI', NULL, 'public', 'active', NULL, 'none', '{http://127.0.0.1/callback,http://localhost/callback}', '{authorization_code,refresh_token,urn:ietf:params:oauth:grant-type:device_code}', 'openid profile email offline_access read write', 'c4b1741f-1e72-4506-a55d-f41a93776774', '2026-11-30 10:01:22.03+00', '2026-11-30 10:01:22.03+00', 'native', NULL, NULL, NULL, '{}', NULL, NULL, NULL, 'ES256', NULL, 'ES256', NULL, false, '{}', false, false, 'public', NULL, NULL, false, '{}', NULL, '{}', NULL, false, 'standard', 'rotating', '{}', '{}', false, NULL, '');
INSERT INTO public.clients VALUES ('318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', 'An app from before', NULL, 'confidential', 'active', 'tWz7VEoW4lVXwiuOrUdM2oFLqJc51csUcEwthqvdWpY', 'client_secret_post', '{https://app.example.test/callback}', '{authorization_code,refresh_token}', 'openid profile offline_access', NULL, '2026-11-30 10:01:41.697+00', '2026-11-30 10:01:41.697+00', 'web', NULL, NULL, NULL, '{}', NULL, NULL, NULL, 'RS256', NULL, 'RS256', NULL, false, '{}', false, false, 'public', NULL, NULL, false, '{}', NULL, '{}', NULL, false, 'standard', 'rotating', '{}', '{}', false, 'GUPAYFkr-PEUabqyARXKOacBFnqAjxn0OJnnDZho_4M', '');
INSERT INTO public.consents VALUES ('1cef3458-1a49-4f43-b92b-eddb73ff5072', 'c4b1741f-1e72-4506-a55d-f41a93776774', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'openid profile offline_access', '2026-11-30 10:01:41.634+00', NULL);
INSERT INTO public.consents VALUES ('f88def39-eb16-43e5-bcfe-85eed6726f33', 'c4b1741f-1e72-4506-a55d-f41a93776774', '318c0fb1-644d-4eec-bedd-0a5ddd18e8c1', 'openid profile offline_access', '2026-11-30 10:01:41.801+00', NULL);
INSERT INTO public.device_codes VALUES ('00bbae16-b95d-48fa-8183-90436f1f4764', 'uQVzCXqQED-lnlq5W4zXu46zniDumERe01v3HNp0Rls', 'C-aXm4Pt9e1-jL7ayR5wcVHGuFM6EGDHTGx4p0YtQoU', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'openid', '{}', 'approved', '127.0.0.1', 'A Node.js program', 'c4b1741f-1e72-4506-a55d-f41a93776774', '2026-11-30 10:01:41.366+00', '{"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}', 'ae78359a-0a96-405e-bc0e-a306bbb02c0f', 5, NULL, false, '2026-11-30 10:01:41.854+00', '2026-11-30 10:01:41.942+00', '2026-11-30 10:31:41.854+00');
INSERT INTO public.server_secrets VALUES ('subject', '57yMMOrsHQx21Yt-IsAHn03yj9RgB95Yc9zZ5Gtr26LGbGuhAZqhEs5x5uUZUwU3LNDlLmj3ChymnhKnCO2WH48tVgpfD8o', 'yiRusM394r30');
INSERT INTO public.sessions VALUES ('739ab49f-15ec-48fd-8c47-4e3c8fdea874', 'c4b1741f-1e72-4506-a55d-f41a93776774', 'local', true, 'Firefox', 'Linux', '127.0.0.1', 'j9msT_LSmOaxZxm63IcuPkykOHFczNSMTdP-pMD-P3U', '2026-11-30 10:01:41.366+00', '2026-11-30 10:01:41.366+00', '2026-12-30 10:01:41.366+00', NULL, DEFAULT, NULL, NULL, NULL);
INSERT INTO public.signing_keys VALUES ('SqVDjBmEeZNR6w1u54TpQM_Ake-lSOm_kPMRpD9Ozqk', 'ES256', '{"x": "S8CHoVetcE_cn3ltLYfKDo97u120BpQhLWBbn9arjlI", "y": "z4w1RuKEFyQR4zsm0ED8KsdT1XEmkUBY_-0QNrs2-_c", "crv": "P-256", "kty": "EC"}', '5hGW7Ar-MDXNfOb33hqxEuP2Q61KGeg89NSo1KrKj2pOqr1eiDg7HeBe5sXA4EiCIA7H5pquqpoTFu1RWg5e1lnZXY350TiQQN546FmeUSitfyFruPlLDwzvTZajrbUh_v0mI1ORXgp7s7Z0IJfSdWpMAT6bSGdD1TKuj7U6pvt15Fu_DtiDwWDFzLx1y-GxwUFM4iYIw41-EyxFEFcxgzu1U0e15HlfQE9NJOYC7cYF36Llj7rchyLHgCMot_Dr1LcA2R_Fq8o5p2j9', 'yiRusM394r30', '2026-11-30 10:01:21.796+00', '2026-11-30 10:01:21.796+00', NULL, NULL);
INSERT INTO public.signing_keys VALUES ('3SimwdKbhE8t_1vCnvBc13lAhl-UPQZd0wKZmJJzc-4', 'RS256', '{"e": "AQAB", "n": "mzJwowvjPPr8zj2Ef5Hj_BKn_nwfBPTBfXfRsIgV9rTUZJC_qrGdj83QR4bAOkAYkF6p4neMJJFJy0-Yv2kDXKSLKlPo_nNFzwITkPO3_FOTWu9GBhfeczYh6XwcVX82-W8W12xG6Stg7P4S8Yb6YXS8nyg7Qg2JJGrpR055sraZz3esMyseJUyz-QHK0FYKLZqXsOLCXC2AzLWCI5MN-ZAEZlKAsM3xudORDLEJxpfERdeu-NEKQOPF9WytsuO0kNTABeuYBGga9IikkXvyaGRjFuezxDYLgTnF_nH_LcarHCVjsCpHQbygr56r3XBD389rblVWriv9H0isBnn9Dw", "kty": "RSA"}', 'iYut934iwIXatxJyi_MEYCC5u8LVVa4g45D6iKgyAVwRRWjaDIe7KHy_30VOQ_qESkuFMCLCvUd8Y-9hT_f2RY6trm4zzIoupY9NzGV65fbPq6YcT0AkUF1_sTiwTT2R0ic7ngvhhdRk63ri803pvDNxL9MiNYCC0F35Y3uS539TVIb5xavhg4Gsqy6sG8KBxejTgyW0qpeZBuet6gjyKsbvDICuldmU7ki6MeVe_zfZIzdZMixOXFWbZYG8i9GZu-L_1xqWqKSv95yoqRGwr9F7_cqhK9JBwn_H3KdNgEBB90nJiImOJBZcN5q915qsBQ7okNy_pI7PzZSOtiqHkJEPFZjuu0N4SsxQIwdcVoeOD9rGfE-Cq0jjPLxRgid_9z5axvf2kckxksrWT7xigQGav0xpfjrIibfS_0lkZDjIyPIBaZa3CZO8X5xj4AXfRLPeT3mHea5LsqUwAmTWRWnH3kCfDaOQ7asOZ9MeBtVC8wDJBdqok-rnY_LI-I1gcnLmFIGULLvosjQ8COPwqRbK9xc38oN3BPIrJOFROrjetN8ia76-p5rCTa_tYL3chmuiTH-tpu-n4eZE0IiR0rV19IjkmwDWQPXouNeHFV8KhpToBT4anMjpz_7lDKYcgQ1Pqp8IARqe-jR-QdMn9cm4evscvbjx1Ahc2i2HzVQr55uS3AXoXpy5HI9f_1XM8yHNGFiSNTN1BhMNiVYagMYejxGG84uZw6FaGD_SA5pVbDKIH1qntCwUQdJXnuCceY4aRvzMgqy_0wqwblkyWV4UjA772RiGDLM7qAiID8uNVYShqaahEDd3V4a6gvfmlOpNVR-6lFMreVbq4z1yM5Fj8mS7r7d_wbirvWCZ4nFZBUvEcQFy2wXIZFiIQTIQJHOF7WFmPWiBdPP9qWZpmR9iBXmeugGrbmSwUU71iVd1sIlTY-6k6tChGEHQ5Am6vTE6ZndzKJHZ-SE4mGSiEbi2kDso21Vr1EG-UOIZ15H65gaj0iN8VXW6zktqwB55kjhiBkWpA2kFvRSDpTnJwPTGN6GeJj4eBQIayRwzMnmnaD28VAbdXa4Sr4NUB6qQ41_kempLM27NsdpDkQ-G0s6D854PIpvLQYaqTYMiq2uIC7NUADPuEC-O7doPGNJKQUqxY9T1_SKndLZDgmgw1soMVS35e9nTY1cWy3CS1VQ_cxdNKdH_lshmuFcHuqPJ6thqiL-MDch6asjQQBU1tU42f0L969TpI7AoMVtlk-YkAb6j-ZwFXKSJ5i7BnGpdfJBfm5QTIT2z4DNbZkMBlxF6vRriMUfyyMT1q4L8cDg-u85u3e-ce7LfFWACsvXfGk9iCdLX-aR5f5t6MdsHmtr0T40cd3jmtT5G6ZY3Jaj7KeSCd7hfAPBrq89O_SDSy5ggcgACjAWgQeLJX0pM2Gy2b2lchVJ6tJKNuNbvlDfxZMnNpuSRT6sduj2LIDtcMpSCotkWab8jXOxIUQnYQrjmb9A-PEkVleJTycHC5t63B5-9BNnjJQULWfosGf_EMe4GvW-phu05jgkC1nS6YgugRYjSLm4mn7MJKcewO9mlHUqu7EXETUe4C4_VX9Re5vxtLg7FgUCkqnDnq2pQkICUpfWJFhYR560dH1M3eASMdahJ3jmYFU6e9kIyN1JzG9aFvIvdnnU0pgZ-iMidUHlAlMMPmTIzahHeGKBb0k8xL79qlDuoVrgPQYVrkC1aKO-LcBd1iVzd5PjAzoDHcsWeDlvqrqs5hBzWmA9zsRBgFYpoDZzWxPDaVNlcQIEXK-1SHhzLAzJkrHISDGBlMYuEjzaMu3jzGqiDic0-HgyZbpMq6qf7ct4PN6cCHQUUfT_DyiqeTp55SL5on8H53v1V0gvwkOjydaYlPWOmW1T-G70g9lW4tvikQta9yN0FkT6Moqf6ag_peHcL-nfNW_mmq6l8Jgblf12VsPZ8RlMYWkk96qKESslw8DShXtzb4XacL4IhyJKgq-dmZI3qi4JXizDWKkhrJjKzgUYN1f8W_snzjrjDzsIoJjt6dc1Z7riEpEOgbY-dTVxW8nfMvWUUikBwWrjwCwlhUgP4-ESRIcemTj7Md8n8L5pvRAcMzs7GSU35BzANhNxbQg5qgmGQlfa0dN5ciFEkP0OJKEJl6PLzx-sdLjaNdU3DVRWtcA1LxRetziTMRRg', 'yiRusM394r30', '2026-11-30 10:01:21.796+00', '2026-11-30 10:01:21.796+00', NULL, NULL);
INSERT INTO public.signing_keys VALUES ('2K8TNECBmhBFyiTju9mKCR7XBNd9PwRywQ2qemBVGhA', 'EdDSA', '{"x": "1U07Y3g-zhfiY0NDSpZ2_gzE-Rmfjy4eHBqDFKvnOPg", "crv": "Ed25519", "kty": "OKP"}', 'G8JYSyD1Rx6r2C0hzZo6ng298VTW1OzHLCnod_dtpSBxxemWyeIU8q1jlLDsmzDq-QEZea_kSUx_4El36fzijDMJVDatOTW22HOhyVrhVBsDq-kQ7hfgkdoUqPXSG5Iiz0L3nAYqB3Eh81sUXmritujoAKhtxFci0WZBWujXvTITkTyEl9BDtip0a_XQkYfMo7du1gNt1dQ3tpMXEA', 'yiRusM394r30', '2026-11-30 10:01:21.796+00', '2026-11-30 10:01:21.796+00', NULL, NULL);
INSERT INTO public.tokens VALUES ('0686b9d5-804d-43c5-8318-d4e73b521488', 'refresh', 'DPn-brOkCrG6jqtuQMZl0DN8gr8tIi-7fkKTzGZcVIQ', '195f7dfb-6d78-44e6-a1aa-eda70892a08e', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'c4b1741f-1e72-4506-a55d-f41a93776774', '739ab49f-15ec-48fd-8c47-4e3c8fdea874', 'openid profile offline_access', '2026-11-30 10:01:41.366+00', '2026-11-30 10:01:41.669+00', '2026-12-30 10:01:41.669+00', NULL, NULL, NULL, '{}', NULL, '{"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}', '2027-02-28 10:01:41.669+00');
INSERT INTO public.tokens VALUES ('44aa27be-1950-41a4-860c-80d470c9b1bd', 'access', NULL, '195f7dfb-6d78-44e6-a1aa-eda70892a08e', '9928ebec-f79d-4394-9559-3fdc2fa365a2', 'c4b1741f-1e72-4506-a55d-f41a93776774', '739ab49f-15ec-48fd-8c47-4e3c8fdea874', 'openid profile offline_access', '2026-11-30 10:01:41.366+00', '2026-11-30 10:01:41.669+00', '2026-11-30 11:01:41.669+00', NULL, NULL, NULL, '{}', NULL, '{"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}', NULL);
INSERT INTO public.users VALUES ('c4b1741f-1e72-4506-a55d-f41a93776774', 'admin', 'admin@localhost.invalid', false, 'Administrator', 'admin', 'local', '$argon2id$v=19$m=19456,t=2,p=1$53r+0nym6k/SCXJowROT4Q$di2EDMF97R6JO9s4YcyXI5ck434kgfm5Snouod5Egb4', true, '2026-11-30 10:01:22.03+00', '2026-11-30 10:01:22.03+00');
SELECT pg_catalog.setval('drizzle.__drizzle_migrations_id_seq', 4, true);
SELECT pg_catalog.setval('public.audit_events_id_seq', 11, true);
ALTER TABLE ONLY drizzle.__drizzle_migrations
    ADD CONSTRAINT __drizzle_migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.authorization_codes
    ADD CONSTRAINT authorization_codes_pkey PRIMARY KEY (code_hash);
ALTER TABLE ONLY public.authorization_requests
    ADD CONSTRAINT authorization_requests_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.device_codes
    ADD CONSTRAINT device_codes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.logout_deliveries
    ADD CONSTRAINT logout_deliveries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.server_secrets
    ADD CONSTRAINT server_secrets_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.session_clients
    ADD CONSTRAINT session_clients_session_id_client_id_sid_pk PRIMARY KEY (session_id, client_id, sid);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
ALTER TABLE public.tokens
    ADD CONSTRAINT tokens_revocation_reason CHECK ((revocation_reason = ANY (ARRAY['rotation'::text, 'reuse'::text, 'code_replay'::text, 'consent_revoked'::text, 'account_inactive'::text, 'password_changed'::text, 'client_inactive'::text, 'client_request'::text, 'user_request'::text, 'admin_request'::text]))) NOT VALID;
ALTER TABLE ONLY public.used_proofs
    ADD CONSTRAINT used_proofs_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX audit_events_actor ON public.audit_events USING btree (actor_user_id, at);
CREATE INDEX audit_events_at ON public.audit_events USING btree (at);
CREATE INDEX audit_events_client ON public.audit_events USING btree (client_id, at) WHERE (client_id IS NOT NULL);
CREATE INDEX audit_events_failed ON public.audit_events USING btree (at) WHERE (NOT success);
CREATE INDEX audit_events_ip ON public.audit_events USING btree (ip, at) WHERE (ip IS NOT NULL);
CREATE INDEX audit_events_notable ON public.audit_events USING btree (severity, at) WHERE (severity <> 'info'::text);
CREATE INDEX audit_events_resource ON public.audit_events USING btree (resource_id, at) WHERE (resource_id IS NOT NULL);
CREATE INDEX audit_events_type ON public.audit_events USING btree (type, at);
CREATE INDEX authorization_codes_client ON public.authorization_codes USING btree (client_id);
CREATE INDEX authorization_codes_expiry ON public.authorization_codes USING btree (expires_at);
CREATE INDEX authorization_codes_user ON public.authorization_codes USING btree (user_id);
CREATE INDEX authorization_requests_expiry ON public.authorization_requests USING btree (expires_at);
CREATE INDEX clients_name ON public.clients USING btree (lower(name) COLLATE "C", client_id);
CREATE INDEX clients_not_active ON public.clients USING btree (client_id) WHERE (status <> 'active'::text);
CREATE INDEX clients_owner ON public.clients USING btree (owner_id);
CREATE INDEX clients_status_name ON public.clients USING btree (status, lower(name) COLLATE "C", client_id);
CREATE INDEX consents_client ON public.consents USING btree (client_id);
CREATE UNIQUE INDEX consents_in_force ON public.consents USING btree (user_id, client_id) WHERE (revoked_at IS NULL);
CREATE INDEX consents_of_client ON public.consents USING btree (client_id, granted_at, id) WHERE (revoked_at IS NULL);
CREATE INDEX consents_user ON public.consents USING btree (user_id);
CREATE INDEX device_codes_client ON public.device_codes USING btree (client_id);
CREATE UNIQUE INDEX device_codes_device_code ON public.device_codes USING btree (device_code_hash);
CREATE INDEX device_codes_expiry ON public.device_codes USING btree (expires_at);
CREATE INDEX device_codes_open ON public.device_codes USING btree (expires_at, status, client_id) WHERE (status = ANY (ARRAY['pending'::text, 'approved'::text]));
CREATE INDEX device_codes_user ON public.device_codes USING btree (user_id);
CREATE UNIQUE INDEX device_codes_user_code ON public.device_codes USING btree (user_code_hash);
CREATE UNIQUE INDEX identities_subject ON public.identities USING btree (source, issuer, subject);
CREATE INDEX identities_user ON public.identities USING btree (user_id);
CREATE INDEX idx_clients_status ON public.clients USING btree (status);
CREATE INDEX idx_users_active_source ON public.users USING btree (is_active, auth_source);
CREATE INDEX logout_deliveries_due ON public.logout_deliveries USING btree (next_attempt_at);
CREATE INDEX session_clients_client ON public.session_clients USING btree (client_id);
CREATE INDEX sessions_ended ON public.sessions USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX sessions_live ON public.sessions USING btree (lapses_at, user_id) WHERE (ended_at IS NULL);
CREATE INDEX sessions_user ON public.sessions USING btree (user_id);
CREATE INDEX tokens_client ON public.tokens USING btree (client_id);
CREATE INDEX tokens_family ON public.tokens USING btree (family_id);
CREATE INDEX tokens_live ON public.tokens USING btree (expires_at, type, user_id, client_id) WHERE (revoked_at IS NULL);
CREATE INDEX tokens_origin ON public.tokens USING btree (origin_client_id) WHERE (origin_client_id IS NOT NULL);
CREATE INDEX tokens_revoked ON public.tokens USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);
CREATE UNIQUE INDEX tokens_secret ON public.tokens USING btree (secret_hash) WHERE (secret_hash IS NOT NULL);
CREATE INDEX tokens_user_client ON public.tokens USING btree (user_id, client_id);
CREATE INDEX used_proofs_expiry ON public.used_proofs USING btree (expires_at);
CREATE INDEX users_by_email ON public.users USING btree (lower(email) COLLATE "C");
CREATE INDEX users_by_full_name ON public.users USING btree (lower(full_name) COLLATE "C");
CREATE INDEX users_by_username ON public.users USING btree (username COLLATE "C");
CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email));
CREATE INDEX users_inactive ON public.users USING btree (id) WHERE (NOT is_active);
CREATE UNIQUE INDEX users_username ON public.users USING btree (username);
ALTER TABLE ONLY public.authorization_codes
    ADD CONSTRAINT authorization_codes_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.authorization_codes
    ADD CONSTRAINT authorization_codes_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.authorization_requests
    ADD CONSTRAINT authorization_requests_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_owner_id_users_id_fk FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.device_codes
    ADD CONSTRAINT device_codes_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.device_codes
    ADD CONSTRAINT device_codes_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.logout_deliveries
    ADD CONSTRAINT logout_deliveries_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.session_clients
    ADD CONSTRAINT session_clients_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.session_clients
    ADD CONSTRAINT session_clients_session_id_sessions_id_fk FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_client_id_clients_client_id_fk FOREIGN KEY (client_id) REFERENCES public.clients(client_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_user_id_users_id_fk FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
