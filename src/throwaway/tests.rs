//! Throwaway servers against the Postgres of this machine.

use super::*;

async fn one(server: &Server, sql: &str) -> String {
    let (client, connection) = server.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let value = client.query_one(sql, &[]).await.unwrap().get(0);
    drop(client);
    driver.await.unwrap().unwrap();
    value
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn servers_start_restart_and_leave_nothing() {
    let options = Options {
        password: Some("secret".to_owned()),
        config: vec!["work_mem = '3MB'".to_owned()],
        ..Options::default()
    };
    let template = Template::create(&options).unwrap();
    let mut servers: Vec<Server> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..2).map(|_| scope.spawn(|| Server::start_from(&template, &options).unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_ne!(servers[0].port(), servers[1].port());
    let server = &mut servers[0];
    assert_eq!(block_on(one(server, "SELECT current_setting('work_mem')")), "3MB");
    assert_eq!(block_on(one(server, "SELECT current_setting('max_prepared_transactions')")), "100");
    assert_eq!(block_on(one(server, "SELECT current_setting('lc_collate')")), "C.UTF-8");
    let no_password = {
        let mut config = server.config("postgres");
        config.password("wrong");
        block_on(async { config.connect(tokio_postgres::NoTls).await.err().unwrap() })
    };
    assert_eq!(no_password.code().unwrap().code(), "28P01");

    let port = server.port();
    server.kill9();
    assert_eq!(server.process_id(), None);
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(block_on(one(server, "SELECT 'back'")), "back");

    server.stop(StopMode::Fast);
    let folders: Vec<_> = servers.iter().map(|server| server.folder().to_owned()).collect();
    assert!(folders.iter().all(|folder| folder.exists()));
    drop(servers);
    drop(template);
    assert!(folders.iter().all(|folder| !folder.exists()));
}

#[test]
fn a_kept_folder_is_used_again_and_a_bad_setting_shows_the_log() {
    let parent = Folder::create(None, false, Account::to_run_as().unwrap().as_ref()).unwrap();
    let folder = parent.path().join("kept");
    let mut options = Options { folder: Some(folder.clone()), keep: true, ..Options::default() };
    let server = Server::start(&options).unwrap();
    block_on(async {
        let (client, connection) = server.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE t AS SELECT 'kept'::text AS v").await.unwrap();
    });
    drop(server);
    assert!(folder.join("data").exists());
    let server = Server::start(&options).unwrap();
    assert_eq!(block_on(one(&server, "SELECT v FROM t")), "kept");
    drop(server);

    options.folder = None;
    options.keep = false;
    options.config = vec!["no_such_setting = 1".to_owned()];
    let error = Server::start(&options).unwrap_err().to_string();
    assert!(error.contains("ended while it started"), "{error}");
    assert!(error.contains("no_such_setting"), "{error}");
}

#[test]
fn a_folder_that_another_version_wrote_is_refused() {
    let parent = Folder::create(None, false, Account::to_run_as().unwrap().as_ref()).unwrap();
    let data = parent.path().join("old/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let options = Options { folder: Some(parent.path().join("old")), keep: true, ..Options::default() };
    assert!(matches!(Server::start(&options), Err(Error::OtherVersion { .. })));
}
