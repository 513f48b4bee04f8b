CREATE TABLE "device_codes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"device_code_hash" text NOT NULL,
	"user_code_hash" text NOT NULL,
	"client_id" text NOT NULL,
	"scope" text NOT NULL,
	"resources" text[] DEFAULT '{}' NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"ip" text NOT NULL,
	"requester" text NOT NULL,
	"user_id" uuid,
	"auth_time" timestamp with time zone,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"family_id" uuid NOT NULL,
	"interval_seconds" integer NOT NULL,
	"last_polled_at" timestamp with time zone,
	"last_polled_too_early" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"decided_at" timestamp with time zone,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "device_codes_status" CHECK ("device_codes"."status" in ('pending', 'approved', 'denied', 'redeemed', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "logout_deliveries" (
	"id" uuid PRIMARY KEY NOT NULL,
	"client_id" text NOT NULL,
	"sid" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "server_secrets" (
	"name" text PRIMARY KEY NOT NULL,
	"sealed_value" text NOT NULL,
	"sealed_with" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "session_clients" (
	"session_id" uuid NOT NULL,
	"client_id" text NOT NULL,
	"sid" uuid NOT NULL,
	CONSTRAINT "session_clients_session_id_client_id_sid_pk" PRIMARY KEY("session_id","client_id","sid")
);
--> statement-breakpoint
CREATE TABLE "used_proofs" (
	"key" text PRIMARY KEY NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "tokens" DROP CONSTRAINT "tokens_revocation_reason";--> statement-breakpoint
ALTER TABLE "authorization_codes" ALTER COLUMN "code_challenge" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ALTER COLUMN "code_challenge" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_codes" ADD COLUMN "resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_codes" ADD COLUMN "dpop_jkt" text;--> statement-breakpoint
ALTER TABLE "authorization_codes" ADD COLUMN "details" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "response_mode" text DEFAULT 'query' NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "claims" jsonb;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "dpop_jkt" text;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "interaction" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "pushed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "authorization_requests" ADD COLUMN "created_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "application_type" text DEFAULT 'web' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "logo_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "policy_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "tos_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "contacts" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "jwks" jsonb;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "jwks_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "token_endpoint_auth_signing_alg" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "id_token_signed_response_alg" text DEFAULT 'ES256' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "userinfo_signed_response_alg" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "introspection_signed_response_alg" text DEFAULT 'ES256' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "request_object_signing_alg" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "require_signed_request_object" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "request_uris" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "require_pushed_authorization_requests" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "dpop_bound_access_tokens" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "subject_type" text DEFAULT 'public' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "sector_identifier_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "default_max_age" integer;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "require_auth_time" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "default_acr_values" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "initiate_login_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "post_logout_redirect_uris" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "backchannel_logout_uri" text;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "backchannel_logout_session_required" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "token_profile" text DEFAULT 'standard' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "refresh_token_mode" text DEFAULT 'rotating' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "allowed_resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "served_resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "extra_claims" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "registration_token_hash" text;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "activates_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "retires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "origin_client_id" text;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "resources" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "dpop_jkt" text;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "details" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "family_expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "device_codes" ADD CONSTRAINT "device_codes_client_id_clients_client_id_fk" FOREIGN KEY ("client_id") REFERENCES "public"."clients"("client_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "device_codes" ADD CONSTRAINT "device_codes_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "logout_deliveries" ADD CONSTRAINT "logout_deliveries_client_id_clients_client_id_fk" FOREIGN KEY ("client_id") REFERENCES "public"."clients"("client_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "session_clients" ADD CONSTRAINT "session_clients_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "session_clients" ADD CONSTRAINT "session_clients_client_id_clients_client_id_fk" FOREIGN KEY ("client_id") REFERENCES "public"."clients"("client_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "device_codes_device_code" ON "device_codes" USING btree ("device_code_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "device_codes_user_code" ON "device_codes" USING btree ("user_code_hash");--> statement-breakpoint
CREATE INDEX "device_codes_open" ON "device_codes" USING btree ("expires_at","status","client_id") WHERE "device_codes"."status" in ('pending', 'approved');--> statement-breakpoint
CREATE INDEX "device_codes_expiry" ON "device_codes" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "device_codes_user" ON "device_codes" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "device_codes_client" ON "device_codes" USING btree ("client_id");--> statement-breakpoint
CREATE INDEX "logout_deliveries_due" ON "logout_deliveries" USING btree ("next_attempt_at");--> statement-breakpoint
CREATE INDEX "session_clients_client" ON "session_clients" USING btree ("client_id");--> statement-breakpoint
CREATE INDEX "used_proofs_expiry" ON "used_proofs" USING btree ("expires_at");--> statement-breakpoint
ALTER TABLE "clients" ADD CONSTRAINT "clients_token_profile" CHECK ("clients"."token_profile" in ('short', 'standard', 'long'));--> statement-breakpoint
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_revocation_reason" CHECK ("tokens"."revocation_reason" in ('rotation', 'reuse', 'code_replay', 'consent_revoked', 'account_inactive', 'password_changed', 'client_inactive', 'client_request')) NOT VALID;