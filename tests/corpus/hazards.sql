# What may reach a sharded table without naming it where a query does, and commands that name it: each answers as
# one Postgres does, or is refused with 0A000. Those behind `= ` must answer. Each runs in a transaction of its own that
# is rolled back, but for those that cannot.

select (row(1,2)::pair)::int
select 1::pair
select cast(1 as pair)
select p::int from casted
insert into casted values (1, 5)
select pair(5)
select 5::few
select cast(5 as few)
select null::few
select few(5)
insert into checked values (2, 2)
insert into checked values (2, 2000)
update checked set v = 3
insert into domained values (1, 1)
update domained set v = 2
insert into defdomained (id) values (1) returning v
= insert into indexed values (1)
select count_users()
create table z1 (a int check (count_users() > a))
create table z2 (a int default count_users())
create table z3 (a few)
select * from young_m
refresh materialized view young_m
select * from young
select pg_relation_size('users')
select pg_relation_size('users'::regclass) > 0
select pg_table_size('public.users')
select pg_total_relation_size('users')
select pg_size_pretty(pg_total_relation_size('users'))
select pg_indexes_size('users')
lock table users
lock users in share mode
lock table only users
truncate users
truncate table users, countries
= truncate countries
comment on table users is 'x'
comment on column users.id is 'x'
comment on column public.users.id is 'x'
= comment on table countries is 'x'
analyze users
analyze
vacuum users
vacuum (analyze) users
= vacuum countries
vacuum
cluster users using users_pkey
cluster
reindex table users
reindex index users_name
= reindex table countries
grant select on users to postgres
revoke all on public.users from postgres
grant select on all tables in schema public to postgres
= grant select on countries to postgres
alter table users add column z int
alter table users rename to users2
= alter table countries add column z int
= alter table countries add foreign key (code) references countries
alter index users_name rename to users_name2
alter index users_pkey set (fillfactor=90)
drop index users_name
drop table users
= drop table countries
drop table if exists users, countries
drop view young
drop function trg()
create index on users (age)
create index users_age on public.users using btree (age)
create view v1 as select * from users
create or replace view young as select 1 as a
= create view v2 as select * from countries
create table c1 as select * from users
= create table c2 as select * from countries
create temp table c3 as select * from users where age = 21
create materialized view m1 as select * from users
select * into c4 from users
select * into temp c5 from users where age = 21
= select * into c6 from countries
create table l1 (like users)
= create table l2 (like countries including all)
create table i1 () inherits (users)
create table p1 partition of parted for values with (modulus 4, remainder 3)
alter table parted detach partition parted_0
create trigger t1 after insert on users for each row execute function trg()
= create trigger t1 after insert on countries for each row execute function trg()
create rule r1 as on insert to countries do also insert into users values (1, 'a')
create policy po on users using (true)
create statistics st on name, age from users
= alter statistics st set statistics 100
create publication pu for table users
create publication pu for all tables
= create publication pu for table countries
copy users to stdout
copy users (id) to stdout
copy public.users to stdout
copy (select * from users) to stdout
copy (select * from users where id = 3) to stdout
copy (select count_users()) to stdout
copy (insert into users values (1,'a') returning id) to stdout
declare c cursor for select * from users
declare c cursor for select * from users where id = 3
= declare c cursor for select * from countries
declare c cursor for select count_users()
prepare s as select * from users
prepare s as select * from users where id = $1
= prepare s as select * from countries
explain analyze select * from users
explain analyze update users set age = 3
= explain execute s
explain analyze delete from users
explain create table x as select * from users
explain analyze create table x as select * from users
explain declare c cursor for select * from users
= select length(pg_catalog.version()) > 9
= select length("pg_catalog" . version()) > 9
select length(version()) > 9
select public.version()
= do 'begin perform 1; end'
= do 'BEGIN CREATE TYPE mood AS ENUM(''glad'', ''sad''); EXCEPTION WHEN duplicate_object THEN null; END';
= do 'BEGIN CREATE TYPE mood AS ENUM(''glad''); CREATE TYPE mood AS ENUM(''sad''); EXCEPTION WHEN duplicate_object THEN null; END';
= do $$ begin if not exists (select 1 from pg_type where typname = 'mood') then create type mood as enum ('x'); else create table moods (id int, m mood); insert into moods values (1, 'glad'); end if; end $$
do $$ begin if (select count(*) from users) > 30 then insert into moods values (2, 'sad'); end if; end $$
do $$ begin insert into moods select count(*), 'sad' from users; end $$
do $$ begin perform count_users(); end $$
do $$ begin execute 'insert into moods select count(*) from users'; end $$
do $$ begin create function of_users() returns bigint language sql as 'select count(*) from users'; perform of_users(); end $$
do $$ begin insert into triggered values (1); end $$
do $$ begin insert into checked values (30, 30); end $$
do $$ begin delete from moods where id > 1; update moods set m = 'sad'; raise notice 'done'; end $$
= do $$ begin create table moods (a int); end $$
do $$ begin perform 1/0; end $$
call nope()
merge into users using countries on false when not matched then insert values (1, 'x')
merge into countries using users on false when not matched then insert values ('zx', 'x')
= merge into countries c using (values (1)) v on false when not matched then insert values ('zx', 'x')
table users
= table countries
table only users
with x as (insert into users values (1000, 'n') returning id) select * from x
with x as (insert into users values (1000, 'n') returning id) select count(*) from users
with x as (delete from users returning id) select * from x
with x as (select * from users) insert into countries select name from x
select query_to_xml('select * from users', true, true, '')
select table_to_xml('users', true, true, '')
select schema_to_xml('public', true, true, '')
select database_to_xml(true, true, '')
= select xmlforest(1 as a)
select cursor_to_xml('c', 1, true, true, '')
= select currval('serials_n_seq')
= select nextval('serials_n_seq')
= select nextval('serials_n_seq'::regclass)
= select setval('serials_n_seq', 100)
= select last_value from serials_n_seq
= select * from serials_n_seq
= select nextval('ticket')
= select lastval()
= alter sequence serials_n_seq restart
= select pg_sequence_last_value('serials_n_seq')
= select pg_get_serial_sequence('serials', 'n')
select dblink('dbname=app', 'select 1')
select * from dblink('dbname=app', 'select count(*) from users') as t(n bigint)
select dblink_exec('dbname=app', 'select 1')
= select pg_get_viewdef('young')
= select pg_get_indexdef('users_name'::regclass)
= select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'users'::regclass
= select pg_get_partkeydef('parted'::regclass)
select ts_stat('select to_tsvector(name) from users')
select * from ts_stat('select to_tsvector(name) from users')
select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, name::tsquery from users')
select ts_rewrite('a'::tsquery, 'a', 'b')
= insert into parent1 values (1)
= update parent1 set id = 2
= delete from parent1
= select 'users'::regclass
= select 'users'::regclass::oid > 0
= select to_regclass('users')
select * from only users
select count(*) from only (users)
select count(*) from parted_0
= select count(*) from public.parted
= select count(*) from app.public.users
select (users).id from users
select users from users
= select users.* from users
select u from users u
= select row_to_json(u) from users u where id = 3
select count(*) from users tablesample bernoulli (100)
= select * from rows from (generate_series(1,2)) as x
select exists (select from users)
select (select count(*) from users)
values ((select count(*) from users))
select array(select id from users)
select 1 where exists (table users)
insert into countries select name from users
insert into countries values ((select name from users limit 1))
update countries set title = (select name from users limit 1)
delete from countries where code in (select name from users)
select 1 union select id from users
= select count(*) from information_schema.tables where table_name = 'users'
= select count(*) from pg_class where relname = 'users'
= create function ff() returns int language sql as 'select count(*)::int from users'
= create procedure pp() language sql as 'select count(*)::int from users'
create domain dd as int check (user_ok(value))
= create aggregate ag (int) (sfunc = int4pl, stype = int)
create operator ### (leftarg = int, rightarg = int, function = int4pl)
= create type e as enum ('a')
create cast (text as pair) with inout
select * from crosstab('select 1')
= select has_table_privilege('users', 'select')
= select obj_description('users'::regclass)
= select col_description('users'::regclass, 1)
select brin_summarize_new_values('users_name')
select gin_clean_pending_list('users_name')
= select pg_partition_tree('parted')
= select pg_partition_root('parted')
reassign owned by app to postgres
drop owned by postgres
alter system set work_mem = '4MB'
alter role app set work_mem = '4MB'
create role zzz
create user zzz password 'x'
drop role if exists zzz
create schema zs create table users (id int)
= create schema zs2
drop schema public cascade
alter schema public rename to p2
alter table users set schema pg_temp
create temp table users (id int)
= create temp table tt (id int) on commit drop

# Casts, domains, operators and comparisons in places where nothing names the function.
select count(*) from casted where p = 5
select count(*) from casted where p in (5, 6)
select coalesce(null::pair, 5)
select case 5 when row(1, 2)::pair then 1 end
insert into casted (id) values (1)
copy casted from stdin
select array[5]::few[]
select row(5)::holder
select '(5)'::holder
select jsonb_populate_record(null::domained, '{"v": 5}')
select * from jsonb_to_record('{"v": 5}') as x(v few)
select 1 === 2
select 1 operator(public.===) 2
select twice_ok(1)
select via_default()
create table z4 as select 5::few as v
create table z5 (like domained)
create view z6 as select 5::few
select * from rewritten
insert into ruled values (1)
update ruled set id = 2
insert into triggered values (1)
= select * from triggered
update triggered set id = 2
copy triggered from stdin
= select * from checked
= select * from domained

# Policies and rules of sharded tables, and what their foreign keys do.
select * from policed where id = 3
select count(*) from policed
insert into policed values (3, 'x')
delete from heads where id = 3
update heads set id = 5 where id = 3
delete from tops where id = 3
= select * from tops where id = 3
delete from subs where id = 3
update tops set x = 9 where id = 3
drop table countries cascade
drop table heads cascade
drop view countries_v cascade
= drop view countries_v

# Names.
= select users.code from countries users
= select 1 as users
= with users as (select 1 as a) select a from users
= select * from countries as users (a, b) where a = 'ch'
select * from "users", countries
select * from "public"."users" natural join countries
select * from public . users cross join countries
select * from (users join countries on true)
select * from countries where exists (select 1 operator(pg_catalog.+) 1 from users)
= select 1 operator(pg_catalog.+) 1 from countries users
select * into temp users from countries
create temp table orders as select 1
create temp view users as select 1
