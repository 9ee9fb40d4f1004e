// The start page: search, data stores, jobs, and how to connect.

const OPEN = ['SUBMITTED', 'IN_PROGRESS', 'QUEUED'];

function askForToken(wasWrong) {
  byId('why').textContent = wasWrong
    ? 'The server did not accept the token.'
    : 'It is what the server was started with (--http-token). It is kept until this tab is closed.';
  const dialog = byId('ask');
  byId('secret').value = '';
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener(
      'close',
      () => {
        const token = byId('secret').value;
        try {
          sessionStorage.setItem('token', token);
        } catch {
          /* It is asked for again. */
        }
        byId('forget').hidden = false;
        resolve(token);
      },
      { once: true },
    ),
  );
}

const table = (heads, rows) =>
  el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
      el('tbody', {}, ...rows),
    ),
  );
const cells = (...contents) =>
  contents.map((content) => el('td', {}, content instanceof Node ? content : el('bdi', {}, visible(content))));
const state = (name) => el('span', { class: `state ${visible(name)}` }, visible(name));
const when = (time) => (time ? new Date(time).toLocaleString() : '');
const failed = (error) => el('p', { class: 'error' }, visible(error.message));

// Another viewer that this server has: `ohif`, `other`, or none.
const { viewer } = document.documentElement.dataset;

// The address at which the viewer found that a token is required, and which left it for this page to ask for.
function returnToViewer() {
  const next = source.token && sessionStorage.getItem('next');
  if (!next?.startsWith(`${location.origin}${source.base}view/`)) return false;
  sessionStorage.removeItem('next');
  location.replace(next);
  return true;
}

// Whole slides have a mode of their own.
function viewerLink(datastore, set) {
  const mode = values(set, 'ModalitiesInStudy').includes('SM') ? 'microscopy' : 'viewer';
  const uid = text(set, 'StudyInstanceUID');
  const href = `view/${mode}/${segment(datastore)}?StudyInstanceUIDs=${segment(uid)}`;
  return el('a', { href, 'aria-label': `Open in OHIF: ${person(text(set, 'PatientName')) || 'no name'}` }, 'OHIF');
}

async function start() {
  const [found, stores] = await Promise.all([
    source.mcp('server/discover').catch(() => null),
    source.tool('list_datastores', {}).then(
      (answer) => answer.datastore_summaries ?? [],
      (error) => error,
    ),
  ]);
  const info = found?.serverInfo ?? found?._meta?.['io.modelcontextprotocol/serverInfo'] ?? {};
  byId('server').textContent =
    `${visible(info.title ?? info.name ?? 'healthimaging-mcp-server')} ${visible(info.version)} at ${location.host}`;
  byId('viewer').hidden = !viewer;
  if (viewer)
    byId('viewer').replaceChildren(el('a', { href: 'view/' }, `Open in ${viewer === 'ohif' ? 'OHIF' : 'the viewer'}`));
  if (stores instanceof Error) return byId('datastores').replaceChildren(failed(stores));
  if (viewer && returnToViewer()) return;
  byId('search').elements.datastore.replaceChildren(
    ...stores
      .filter((store) => store.datastore_status === 'ACTIVE')
      .map((store) => el('option', { value: store.datastore_id }, visible(store.datastore_name))),
  );
  const details = await Promise.all(
    stores.map((store) => source.resource(`healthimaging://datastores/${store.datastore_id}`).catch(() => store)),
  );
  byId('datastores').replaceChildren(
    stores.length
      ? table(
          ['Name', 'Status', 'Image sets', 'Created', 'ID'],
          details.map((store) => {
            const { image_sets: all, image_sets_at_least: least } = store.counts ?? {};
            return el(
              'tr',
              {},
              ...cells(
                store.datastore_name,
                state(store.datastore_status),
                all ?? (least === undefined ? '–' : `≥ ${least}`),
                when(store.created_at),
                el('code', {}, store.datastore_id),
              ),
            );
          }),
        )
      : el(
          'p',
          {},
          'There is no data store yet. Import a folder: ',
          el('code', {}, 'healthimaging-mcp-server import FOLDER'),
        ),
  );
  const active = details.find((store) => store.datastore_status === 'ACTIVE');
  connect(active);
  if (active) search();
  await jobs(stores);
}

async function jobs(stores) {
  const imports = (
    await Promise.all(
      stores.map(({ datastore_id }) =>
        source.tool('list_dicom_import_jobs', { datastore_id }).then(
          (answer) => answer.job_summaries ?? [],
          () => [],
        ),
      ),
    )
  ).flat();
  imports.sort((one, other) => (one.submitted_at < other.submitted_at ? 1 : -1));
  const recent = await Promise.all(
    imports.slice(0, 10).map((job) =>
      source.tool('get_dicom_import_job', { datastore_id: job.datastore_id, job_id: job.job_id }).then(
        (answer) => answer.job_properties,
        () => job,
      ),
    ),
  );
  const own = await source.tool('list_jobs', { max_results: 10 }).then(
    (answer) => answer.jobs ?? [],
    () => [],
  );
  const progress = ({ items_done: done, items_failed: bad, items_total: all }) =>
    all
      ? el(
          'span',
          {},
          el('progress', { value: done + bad, max: all, 'aria-label': 'Progress' }),
          ` ${done} of ${all}${bad ? `, ${bad} failed` : ''}`,
        )
      : done === undefined
        ? ''
        : `${done} done${bad ? `, ${bad} failed` : ''}`;
  const rows = [
    ...recent.map((job) => [job, `Import ${job.job_name ?? ''}`]),
    ...own.map((job) => [job, job.tool]),
  ].map(([job, name]) =>
    el(
      'tr',
      {},
      ...cells(
        name,
        state(job.job_status),
        when(job.submitted_at),
        job.message ?? (job.output_s3_uri ? `Result of each file: ${job.output_s3_uri}` : ''),
        progress(job),
      ),
    ),
  );
  byId('jobs').replaceChildren(
    rows.length
      ? table(['Job', 'Status', 'Submitted', 'Result', 'Progress'], rows)
      : el('p', { class: 'quiet' }, 'No jobs yet.'),
  );
  clearTimeout(jobs.timer);
  if ([...recent, ...own].some(({ job_status }) => OPEN.includes(job_status)))
    jobs.timer = setTimeout(() => byId('start').hidden || jobs(stores), 2000);
}

function connect(store) {
  const at = location.origin + source.base.replace(/\/$/, ''),
    region = store?.datastore_arn?.split(':')[3] ?? 'us-east-1',
    id = store?.datastore_id ?? 'DATASTORE_ID';
  // A server that requires a token also requires known keys of signed requests.
  const [keyId, secret] = source.token ? ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY'] : ['any', 'any'];
  const header = source.token ? ' --header "Authorization: Bearer $HEALTHIMAGING_HTTP_TOKEN"' : '';
  const lines = {
    'MCP in Claude Code': `claude mcp add --transport http healthimaging ${at}/mcp${header}`,
    'other MCP clients': `${at}/mcp`,
    DICOMweb: `${at}/datastore/${id}`,
    boto3: [
      'import boto3, botocore.config',
      `client = boto3.client("medical-imaging", endpoint_url="${at}", region_name="${region}",`,
      `    aws_access_key_id="${keyId}", aws_secret_access_key="${secret}",`,
      '    config=botocore.config.Config(inject_host_prefix=False))',
      'print(client.list_datastores())',
    ].join('\n'),
    'the AWS CLI': [
      `export AWS_ENDPOINT_URL_MEDICAL_IMAGING=${at} AWS_DISABLE_HOST_PREFIX_INJECTION=true`,
      `export AWS_ACCESS_KEY_ID=${keyId} AWS_SECRET_ACCESS_KEY=${secret} AWS_DEFAULT_REGION=${region}`,
      'aws medical-imaging list-datastores',
    ].join('\n'),
  };
  byId('lines').replaceChildren(
    ...Object.entries(lines).flatMap(([name, line]) => [
      el('h3', {}, name),
      el(
        'div',
        { class: 'copy' },
        el('pre', { tabindex: 0 }, line),
        el(
          'button',
          {
            type: 'button',
            'aria-label': `Copy the lines for ${name}`,
            onclick: async ({ target }) => {
              try {
                await navigator.clipboard.writeText(line);
                target.textContent = 'Copied';
                target.setAttribute('aria-label', `Copied the lines for ${name}`);
                announce('Copied');
              } catch {
                getSelection().selectAllChildren(target.previousSibling);
              }
            },
          },
          'Copy',
        ),
      ),
    ]),
  );
}

async function search(offset = 0) {
  const form = new FormData(byId('search')),
    query = new URLSearchParams({ limit: 26, offset });
  for (const key of ['PatientName', 'PatientID', 'StudyDescription', 'ModalitiesInStudy']) {
    const value = form.get(key).trim();
    if (value) query.set(key, key === 'ModalitiesInStudy' ? value.toUpperCase() : `*${value}*`);
  }
  const from = form.get('from').replace(/-/g, ''),
    to = form.get('to').replace(/-/g, ''),
    datastore = form.get('datastore');
  if (from || to) query.set('StudyDate', `${from}-${to}`);
  query.set('includefield', 'StudyDescription');
  let found;
  try {
    found = await source.json(`datastore/${segment(datastore)}/studies?${query}`);
  } catch (error) {
    return byId('studies').replaceChildren(failed(error));
  }
  const rows = found.slice(0, 25).map((set) => {
    const href = `#${datastore}/${segment(text(set, 'StudyInstanceUID'))}`;
    return el(
      'tr',
      {
        class: 'link',
        onclick: (event) => {
          if (!event.target.closest('a')) location.hash = href;
        },
      },
      el('td', {}, el('a', { href }, el('bdi', {}, person(text(set, 'PatientName')) || 'No name'))),
      ...cells(text(set, 'PatientID')),
      el('td', { class: 'day' }, day(text(set, 'StudyDate'))),
      ...cells(
        values(set, 'ModalitiesInStudy').join(' '),
        text(set, 'StudyDescription'),
        `${number(set, 'NumberOfStudyRelatedSeries', '–')} / ${number(set, 'NumberOfStudyRelatedInstances', '–')}`,
        ...(viewer === 'ohif' ? [viewerLink(datastore, set)] : []),
      ),
    );
  });
  const turn = (label, to) => el('button', { type: 'button', onclick: () => search(to) }, label);
  byId('studies').replaceChildren(
    rows.length
      ? table(
          ['Patient', 'ID', 'Date', 'Modality', 'Description', 'Series / images', ...(viewer === 'ohif' ? ['Open in'] : [])],
          rows,
        )
      : el('p', {}, 'No study matches.'),
    el('p', {}, offset ? turn('Previous', offset - 25) : null, found.length > 25 ? turn('Next', offset + 25) : null),
  );
  announce(`${rows.length} ${rows.length === 1 ? 'study' : 'studies'}`);
}

const entryOf = (place, set, count) => ({
  place,
  count,
  modality: text(set, 'Modality'),
  title: `${visible(text(set, 'Modality'))} ${visible(text(set, 'SeriesDescription')) || `Series ${visible(text(set, 'SeriesNumber'))}`}`,
  detail: `${count} image${count === 1 ? '' : 's'}`,
});
