create table audit (id int, what text);
insert into audit values (1, 'one'), (2, 'two');
