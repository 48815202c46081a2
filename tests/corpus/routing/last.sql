create table audit (id int, what text);
insert into audit values (1, 'one'), (2, 'two');
create schema tenant_a;
create table tenant_a.items (id int primary key, name text);
create table tenant_a.notes (item int, body text);
insert into tenant_a.items values (1, 'a'), (2, 'b');
insert into tenant_a.notes values (1, 'x'), (1, 'y');
