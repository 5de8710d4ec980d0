create table charges (
    id text primary key,
    producer text,
    idempotency_key text not null unique,
    amount bigint not null,
    currency text not null,
    customer_id text,
    payment_method_id text,
    description text,
    metadata jsonb not null,
    state text not null default 'pending',
    processor_reference text,
    created_at timestamptz not null default now(),
    settled_at timestamptz
);
create table events (
    id text primary key,
    charge_id text not null references charges,
    body text not null,
    created_at timestamptz not null default now()
);
create table deliveries (
    event_id text primary key references events,
    status int not null,
    delivered_at timestamptz not null default now()
);
