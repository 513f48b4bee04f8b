-- Both indexes are built after the migrations, without holding up writes: see src/database/late-indexes.ts.
SELECT 1;
