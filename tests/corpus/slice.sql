# Statements on sharded tables: each answers as one Postgres does, or is refused with 0A000.
# `@ values |` before a statement gives its parameters (text; \N is null).

# One shard by a constant.
select * from users where id = 1
select * from users where id = 12
select name from users where id = 3
select name, age from users where 3 = id
select name from users u where u.id = 3
select name from public.users where id = 3
select name from public.users where users.id = 3
select name from "users" where "id" = 3
select NAME from USERS where ID = 3
select * from users where id = 999999
select * from users where id = -5
select * from users where id = 9223372036854775807
select * from users where id = 3 and age > 20
select * from users where age > 20 and id = 3
select * from users where (id = 3) and (age > 20 or active)
select * from users where id = 3 or id = 4
select * from users where id = 3 and id = 4
select * from users where id = 3 and id = 3
select * from users where id = null
select * from users where id is null
select * from users where id = 3::int8
select * from users where id = 3::int
select * from users where id = '3'
select * from users where id = '3'::int8
select * from users where id = 3.0
select * from users where id = 3.5
select * from users where id = 3::numeric
select * from users where id = cast(3 as bigint)
select * from users where id = 99999999999999999999
select * from users where id = 'x'
select count(*) from users where id = 3
select max(score) from users where id = 3
select age, count(*) from users where id = 3 group by age
select * from users where id = 3 order by name limit 1
select distinct active from users where id = 3
select id, row_number() over () from users where id = 3
select * from orders where user_id = 5 order by id
select * from orders where user_id = 5 order by amount desc, id limit 2 offset 1
select sum(amount), avg(amount) from orders where user_id = 5
select note, sum(amount) from orders where user_id = 5 group by note having count(*) > 0 order by note
select u.name, o.amount from users u join orders o on o.user_id = u.id where u.id = 5 and o.user_id = 5 order by o.id
select u.name, o.amount from users u, orders o where u.id = 5 and o.user_id = 5 and o.user_id = u.id order by o.id
select u.name, o.amount from users u join orders o on o.user_id = u.id where u.id = 5 order by o.id
select u.name, o.amount from users u join orders o on o.user_id = u.id where u.id = 5 and o.user_id = 6
select u.name, count(o.id) from users u left join orders o on o.user_id = u.id where u.id = 5 group by u.name
select name from users where id = 3 for update
select * from users where id = 3 and name = 'id = 4'
select * from users where id /* = 4 */ = 3
select 'id = 4', name from users where id = 3
select name as id from users where id = 3
select id as name, name as id from users where id = 3 order by id

# One shard by a parameter.
@ 1 | select * from users where id = $1
@ 12 | select name from users where id = $1
@ \N | select name from users where id = $1
@ 3 20 | select name from users where id = $1 and age > $2
@ 20 3 | select name from users where age > $1 and id = $2
@ 3 | select name from users where $1 = id
@ 3 | select name from users where id = $1::int8
@ 3 | select name from users where id = $1::int
@ 3 | select name from users where id = $1::text::int8
@ 5 5 | select u.name, o.amount from users u join orders o on o.user_id = u.id where u.id = $1 and o.user_id = $2 order by o.id
@ 5 | select u.name, o.amount from users u join orders o on o.user_id = u.id where u.id = $1 and o.user_id = $1 order by o.id
@ 5 | select * from orders where user_id = $1 order by id
@ 9 | select count(*) from orders where user_id = $1
@ 99999 | select * from users where id = $1
@ 3 4 | select * from users where id = $1 and id = $2
@ 3 4 | select * from users where id = $1 or id = $2
@ 2 | select * from users where id = $1 + 2
@ 20 | select name from users where age > $1
@ 20 | select count(*) from users where age > $1
@ name%s3 | select id from users where name = $1

# All shards, concatenated.
select * from users
select id from users
select id, name from users where age > 30
select name from users where name like 'name 1%'
select id, age from users where age in (21, 22, 23)
select id from users where active
select id from users where not active
select id from users where score is null
select id from users where id > 5
select id from users where id between 3 and 9
select id from users where id in (1, 2, 3)
select id from users where id = any (array[1, 2, 3])
select id from users where id % 4 = 1
select id from users where -id = -3
select id from users where id = 1 + 2
select id from users where id in (1, 1 + 2)
select id from users where id <> 3
select id from users where not id = 3
select id from users where (id = 3) is false
select id from users where coalesce(id, 0) = 3
select id, (id = 1) from users
select case when id = 1 then 'one' else 'other' end from users
select id + 1 as next, upper(name) from users where age < 30
select u.id, u.name from users as u where u.age < 30
select * from orders where amount > 50
select id, user_id, note from orders where note like '%3%'
select amount * 2, round(amount) from orders where user_id > 30
select id from users where made > '2024-01-15'
select id from users where false
select id from users where true
select id from users where name > 'name 2'
select id::text, age::numeric from users where age < 25
select all id from users
select 1 from users
select null from users where id < 4
select from users where id < 4

# Combined aggregates.
select count(*) from users
select count(*) from users where age > 30
select count(*) as n from users where false
select sum(age) from users
select sum(age) from users where false
select min(age) from users
select max(age) from users
select min(age), max(age), sum(age), count(*) from users
select min(id), max(id) from orders
select sum(amount) from orders
select sum(amount) from orders where amount > 20
select sum(score) from users
select min(score), max(score) from users
select min(name), max(name) from users
select min(made), max(made) from users
select count(*), count(*) from users
select count(score) from users
select sum(id) from users
select sum(half) from users
select max(id)::text from users
select count(*) + 0 from users
select coalesce(sum(age), 0) from users
select avg(id) from users
select avg(score) from users
select round(avg(score), 2) from users
select count(distinct age) from users
select sum(distinct age) from users
select sum(age)::text from users
select bool_and(active) from users
select array_agg(id order by id) from users
select string_agg(name, ',' order by id) from users
select count(*) filter (where id = 1) from users
select percentile_cont(0.5) within group (order by age) from users
select stddev(age) from users
select count(*), name from users
select count(*) from users having count(*) > 9

# Clauses that need more than concatenation.
select id from users order by id
select id from users order by name limit 3
select id from users limit 1
select id from users limit 2 + 1
select id from users order by id offset 5
select id from users order by id fetch first 2 rows with ties
select distinct age from users
select distinct on (age) age, id from users order by age, id
select age from users group by age
select age, count(*) from users group by age
select lower(name), count(*) from users group by lower(name)
select age, sum(score) from users group by age order by sum(score) desc limit 1
select age, count(*) from users group by rollup (age)
select id, sum(age) over (order by id) from users
select id, row_number() over (partition by id) from users
select (select count(*) from users) as n
select id, (select count(*) from orders o where o.user_id = users.id) from users
select id from users where age in (select age from users where id = 1)
select id from users where exists (select 1 from orders o where o.user_id = users.id)
select id from users where not exists (select 1 from orders o where o.user_id = users.id)
select * from (select count(*) from users) x
with x as (select id from users) select count(*) from x
select id from users where id = 1 union all select id from users where id = 3
select id from users union select user_id from orders
select id from users except select 1
select u.id, o.id from users u join orders o on o.user_id = u.id
select count(*) from users u join orders o on o.user_id = u.id
select count(*) from users a join users b on a.age = b.age
select u.id from users u left join orders o on o.user_id = u.id and u.id = 1
select u.id, o.id from users u left join orders o on o.user_id = u.id and u.id = 1 where o.id is null
select c.code, u.id from countries c left join users u on u.country = c.code
select c.code from countries c where not exists (select 1 from users u where u.country = c.code)
select u.id, c.title from users u join countries c on c.code = u.country where u.id = 3
select id from users for update
select id from users tablesample system (100)
select * from only users where id = 3
select ctid from users
select tableoid::regclass, id from users
select id, now() = now() from users where id < 3
select id, random() >= 0 from users
select id, nextval('ticket') > 0 from users
select id into copied from users
create table copied as select id from users
select * from young
select count(*) from young
select * from young where id = 3
select count_users()
select id from users where id = key_of('a')
do $$ begin perform count(*) from users; end $$
table users
values (1), (2)
declare c cursor for select id from users
copy users to stdout
copy (select count(*) from users) to stdout
prepare p as select count(*) from users
analyze users
vacuum users
lock table users
truncate users
select count(*) from users, generate_series(1, 2)
select pg_relation_size('users') > 0

# Single tables and none.
select 1
select * from countries order by code
select c.code from countries c where c.title like 'C%' order by 1
select count(*) from countries
select current_user
select code from countries union all select 'zz' order by 1
insert into countries values ('xx', 'Extra')
update countries set title = 'Other' where code = 'xx'
delete from countries where code = 'xx' returning *
select users from (select 1 as users) users
with users as (select 1 as id) select * from users
select 'users', $$users$$ /* users */
select id from countries
select * from nosuch
select nosuch from users
select nosuch from users where id = 3
select id from users where nosuch = 3
select id fro users
select id from users where id = 3 and 1 / (age - age) = 1
select id from users where 1 / (age - age) = 1

# Writes.
insert into users (id, name, age) values (101, 'new', 50)
insert into users (id, name, age) values (102, 'new', 50) returning *
insert into users values (103, 'new', 50)
insert into users (name, age, id) values ('new', 51, 104)
insert into users (id, name) values ('105', 'text')
insert into users (id, name) values (1, 'double')
insert into users (id, name, age) values (106, 'bad', 'x')
insert into users (id) values (107)
insert into users (name) values ('no key')
insert into users (id, name) values (null, 'null key')
insert into users (id, name) values (default, 'default key')
insert into users (id, name) values (abs(-108), 'computed')
insert into users (id, name) values (100 + 9, 'computed')
insert into users (id, name) values (110, 'a'), (111, 'b'), (112, 'c')
insert into users (id, name) values (113, upper('x') || now()::text is not null::text)
insert into users (id, name, made) values (114, 'now', '2024-05-05')
insert into users (id, name) select 115, 'select'
insert into users (id, name) select id + 1000, name from users
insert into users (id, name) values (1, 'x') on conflict (id) do update set name = 'conflict'
insert into users (id, name) values (1, 'x') on conflict do nothing
insert into users default values
insert into users (id, name) values (3.7, 'rounded')
insert into orders (id, user_id, amount) values (9001, 5, 1.5)
insert into orders (id, user_id, amount) values (9002, 77777, 1.5)
@ 121 param 33 | insert into users (id, name, age) values ($1, $2, $3)
@ 122 param | insert into users (id, name) values ($1, $2) returning id, name
@ \N param | insert into users (id, name) values ($1, $2)
@ param 123 | insert into users (name, id) values ($1, $2)
update users set age = age + 1 where id = 3
update users set age = age + 1 where id = 3 returning *
update users set name = 'x' where id = 999999
update users set active = (id = 1)
update users set age = 1 where age = 21
update users set id = 500 where id = 3
update users set id = id where id = 3
update users as u set age = 77 where u.id = 4
update users set age = o.amount from orders o where o.user_id = users.id and users.id = 5 and o.user_id = 5
update users set age = 1 where id in (1, 2)
update users set age = 1 where id = 4 or id = 5
update users set age = nosuch where id = 3
update users set age = -5 where id = 3
@ 44 7 | update users set age = $1 where id = $2
@ 7 45 | update users set age = $2 where id = $1 returning age
update orders set amount = amount + 1 where user_id = 5
delete from orders where user_id = 6
delete from orders where user_id = 6 and id > 0 returning id
delete from orders where amount < 5
delete from orders
delete from users where id = 30 returning id
delete from users using orders o where o.user_id = users.id and users.id = 31
@ 32 | delete from users where id = $1
with gone as (delete from users where id = 33 returning id) select * from gone
with x as (select 1) update users set age = 9 where id = 34
merge into users u using (values (35::int8)) v(id) on u.id = v.id when matched then update set age = 1
alter table users add column extra int
create index on users (age)
drop table orders
