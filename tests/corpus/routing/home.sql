create table settings (name text primary key, v text);
insert into settings values ('a', '1'), ('b', '2');
create table other.users (id int8, name text);
insert into other.users values (3, 'the other');
create table "select" (id int);
insert into "select" values (1);
create sequence ticket;
