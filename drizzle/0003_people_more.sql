ALTER TABLE "authorization_codes" ALTER COLUMN "auth_time" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "auth_time" timestamp with time zone;